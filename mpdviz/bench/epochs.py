"""Training and watching the network of `mpdviz.bench.same` in one framework, in this process.

What is common to all: data and their order, cross-entropy of the mean output, SGD with momentum, threads.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

import mpdviz
from mpdviz import data
from mpdviz.bench import same, timing
from mpdviz.bench.foreign import observing
from mpdviz.bench.memory import Peak
from mpdviz.data import Dataset
from mpdviz.kernels import backends
from mpdviz.system.memory import keep_large_buffers

RATE, MOMENTUM = 0.05, 0.9
WATCHED = same.Sizes(timesteps=4, in_channels=1, side=8, classes=10)
"""Small enough that a thousand batches of kept potentials fit into memory."""
WATCHED_BATCH = 8
STEPS = 10
"""Training steps whose memory is looked at."""

Way = Callable[[], AbstractContextManager[object]]
"""What a forward is within."""


class Task(NamedTuple):
    """What is trained on; plain values, so that it can go to another process."""

    data: str
    data_dir: str | None
    images: int
    """Of the training and of the test split, at most."""
    timesteps: int
    batch_size: int

    def load(self) -> Dataset:
        """The images."""
        return data.load(self.data, data_dir=None if self.data_dir is None else Path(self.data_dir))

    def batches(self, dataset: Dataset, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Of one epoch, from 0, in an order that depends on nothing else; without a shorter last one."""
        count = min(self.images, len(dataset.train))
        order = torch.randperm(count, generator=torch.Generator().manual_seed(epoch))
        whole = count - count % self.batch_size
        return data.batches(dataset, "train", self.batch_size, order=order[:whole])

    def sizes(self, dataset: Dataset) -> same.Sizes:
        """Of the network for it."""
        channels, side, _ = dataset.sample_shape
        return same.Sizes(self.timesteps, channels, side, dataset.classes)


class Trained(TypedDict):
    """What came out of it."""

    seconds: list[float]
    """Of each epoch after the first."""
    first: float
    """Seconds of the first, with all that is imported, compiled and allocated on the way."""
    first_loss: float
    """Of the first batch, before any step."""
    accuracy: float
    """On the test images after the first epoch, a fraction."""


class Contender(NamedTuple):
    """A framework and, of mpdviz, the backend that its neurons run on."""

    framework: str
    backend: str = "eager"


def contenders() -> dict[str, Contender]:
    """Those that can run here: mpdviz on each of its backends, then the other frameworks."""
    ours = {f"mpdviz {name}": Contender("mpdviz", name) for name in backends.usable()}
    absent = {"mpdviz", *same.missing()}
    return ours | {name: Contender(name) for name in same.PEERS if name not in absent}


class Training:
    """A network under training."""

    def __init__(self, contender: Contender, sizes: same.Sizes) -> None:
        """Start from the weights that are everybody's."""
        self.network = same.build(contender.framework, sizes)
        self.optimizer = torch.optim.SGD(self.network.groups(RATE), RATE, momentum=MOMENTUM)

    def steps(self, batches: Iterator[tuple[Tensor, Tensor]]) -> list[float]:
        """Train on each batch; the losses."""
        self.network.train()
        losses = []
        for x, y in batches:
            loss = F.cross_entropy(self.network(x).mean(0), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses

    @torch.no_grad()
    def accuracy(self, batches: Iterator[tuple[Tensor, Tensor]]) -> float:
        """Share of images whose largest mean output is the right one."""
        self.network.eval()
        right = [(self.network(x).mean(0).argmax(1) == y).float() for x, y in batches]
        return float(torch.cat(right).mean())


def train(contender: list[str], task: list[str | int | None], epochs: int, kept: bool) -> Trained:
    """Train one epoch, test, and train `epochs` more.

    Args:
        contender: fields of a `Contender`.
        task: fields of a `Task`.
        epochs: timed, after the first.
        kept: keep large buffers, as `mpdviz train` does (`mpdviz.system.memory`).
    """
    one, of = Contender(*contender), Task(*task)  # type: ignore[arg-type]
    if kept:
        keep_large_buffers()
    dataset = of.load()
    training = Training(one, of.sizes(dataset))
    with backends.using(one.backend):
        start = time.perf_counter()
        first_loss = training.steps(of.batches(dataset, 0))[0]
        first = time.perf_counter() - start
        tested = torch.arange(min(of.images, len(dataset.test)))
        accuracy = training.accuracy(data.batches(dataset, "test", of.batch_size, order=tested))
        seconds = []
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            training.steps(of.batches(dataset, epoch))
            seconds.append(time.perf_counter() - start)
    return Trained(seconds=seconds, first=first, first_loss=first_loss, accuracy=accuracy)


def peak(contender: list[str], task: list[str | int | None]) -> float:
    """Most MB above what is resident before training, over a few steps of a network that is new.

    Another has trained before, so that modules imported and code compiled are no part of it.
    """
    one, of = Contender(*contender), Task(*task)  # type: ignore[arg-type]
    dataset = of.load()
    with backends.using(one.backend):
        Training(one, of.sizes(dataset)).steps(islice(of.batches(dataset, 0), 2))
        training = Training(one, of.sizes(dataset))
        with Peak() as most:
            training.steps(islice(of.batches(dataset, 0), STEPS))
    return most.above


def settled(framework: str, sizes: same.Sizes, batch_size: int) -> tuple[same.Peer, Tensor]:
    """The network in evaluation mode, its norms settled on the images that come with it."""
    network = same.build(framework, sizes)
    x = torch.randn(batch_size, sizes.in_channels, sizes.side, sizes.side)
    norms = network.parts[1:4:2]
    for norm in norms:
        norm.momentum = 1.0  # type: ignore[assignment]
    with torch.no_grad():
        network.train()(x)
    return network.eval(), x


@torch.no_grad()
def watched_times(
    framework: str, sizes: list[int | list[int]], batch_size: int, repeats: int
) -> dict[str, list[float]]:
    """Milliseconds of a forward in evaluation mode: bare, potentials kept its own way, recorded.

    Args:
        framework: one of `same.PEERS`.
        sizes: fields of `same.Sizes`.
        batch_size: images.
        repeats: of each, in turn.

    Raises:
        AssertionError: recording changes the output.
    """
    network, x = settled(framework, same.Sizes(*sizes), batch_size)  # type: ignore[arg-type]
    bare = network(x)
    with mpdviz.record(network) as mpd:
        assert torch.equal(network(x), bare), "recording changes the output"
        network(x)
    run = partial(network, x)
    runs: timing.Contenders = {"bare": run, "own": run, "recorded": run}
    within: dict[str, Way] = {"own": network.keeping, "recorded": partial(observing, mpd)}
    if framework == "mpdviz":
        del runs["own"], within["own"]
    return timing.alternate(runs, repeats, within)


@torch.no_grad()
def watched_peak(framework: str, how: str, batches: int) -> float:
    """Most MB above what is resident before, over so many small batches in evaluation mode.

    Args:
        framework: one of `same.PEERS`.
        how: `bare`, `own` or `recorded`.
        batches: of `WATCHED_BATCH` images to a network of `WATCHED` sizes.
    """
    network, x = settled(framework, WATCHED, WATCHED_BATCH)
    ways: dict[str, Way] = {
        "bare": nullcontext,
        "own": network.keeping,
        "recorded": partial(mpdviz.record, network),
    }
    for _ in range(2):  # what is imported and compiled on first use is no part of it
        with ways[how]():
            network(x)
    with ways[how](), Peak() as most:
        for _ in range(batches):
            network(x)
    return most.above
