"""Which way a network takes its input: each is tried on one sample, and what it records is looked at.

The sample is fed in n copies, n being no divisor of T: in a recording of sequences taken the right way every
layer has T timesteps, and what takes samples for timesteps, or a sequence for a batch, shows other numbers.
"""

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.inspection.feeding import AsItIs, Feed, Steps, Whole, takes_state
from mpdviz.inspection.outcome import first
from mpdviz.inspection.resetting import Rest
from mpdviz.inspection.theirs import said
from mpdviz.live import record

MADE = "what `batch` returns"
REMEDY = "see to `data`, `repeat_input` and `time_axis`"


@dataclass(frozen=True)
class Trial:
    """What became of one sample fed in one way."""

    feed: Feed
    names: dict[int, str]
    """Of the layers that were recorded."""
    timesteps: tuple[int, ...]
    """Of each of them."""
    samples: int
    """That they saw."""
    left_out: str
    """Why the first layer that is not recorded is not."""
    failure: str
    """What the network raised; empty where it ran."""
    keeps_state: bool
    """Whether it is another after than before."""

    def score(self, copies: int, length: int) -> int:
        """How well it fits `copies` samples of `length` timesteps: 3 perfectly, 0 not at all."""
        if self.failure or not self.timesteps or (length == 1 and self.samples % copies):
            return 0
        right = [timesteps == length for timesteps in self.timesteps]
        # A network may bring sequences to a length of its own; one timestep is what a batch of another layout
        # shows, or a state that was dropped.
        own = self.samples == copies and min(self.timesteps) > 1
        return 3 if all(right) else 2 if any(right) else int(own)


def copies_for(length: int | None) -> int:
    """How many copies of a sample tell samples from timesteps."""
    return next(n for n in range(2, 99) if (length or 1) % n)


class Trials:
    """Tries ways to feed a network; none leaves a trace on it."""

    def __init__(self, network: nn.Module, rest: Rest) -> None:
        """Try on this network, which `rest` puts back."""
        self._network, self._rest = network, rest

    def of_sequences(self, x: Tensor, axis: int | None) -> Trial:
        """How the network takes sequences.

        Args:
            x: a sample in copies, `[T, n, ...]`.
            axis: where it takes time; None finds out whether and where.

        Raises:
            BadInput: it takes them in no way, or it cannot be told how.
        """
        length, copies = x.shape[:2]
        feeds: list[Feed] = [Steps(handed_on=True)] if takes_state(self._network) else []
        feeds = [Whole(0), *feeds, Steps(handed_on=False), Whole(1), Whole(-1)]
        tried: list[Trial] = []
        for feed in feeds if axis is None else [Whole(axis)]:
            tried.append(self._tried(feed, x))
            if tried[-1].score(copies, length) == 3:
                return tried[-1]
        best = max(tried, key=lambda trial: trial.score(copies, length))
        ran = [trial for trial in tried if not trial.failure]
        if axis is not None and ran:
            return _readable(best)
        if ran and not any(trial.timesteps for trial in ran):
            return _readable(ran[0])
        if best.score(copies, length):
            return best
        if ran:
            shown = sorted({timesteps for trial in ran for timesteps in trial.timesteps})
            raise BadInput(
                f"cannot tell how the model takes sequences: fed {length} timesteps in every way, it shows "
                f"{', '.join(map(str, shown))}",
                "give `time_axis`, the axis on which it takes whole sequences, e.g. 0",
            )
        one = ["N", *x.shape[2:]]
        reasons = [f"an input {_shape([length, *one])} ({tried[0].failure})"]
        reasons += [f"steps {_shape(one)} ({trial.failure})" for trial in tried if trial.feed.stepped][-1:]
        raise BadInput(f"the model does not take {' nor '.join(reasons)}", REMEDY)

    def of_images(self, given: Callable[[int], Any]) -> Trial:
        """That the network takes what has no time of its own, or what the user's function makes of it.

        Args:
            given: a sample in so many copies.

        Raises:
            BadInput: it does not, or takes the samples for timesteps, or a call is one timestep of it.
        """
        trials = [self._tried(AsItIs(), given(copies)) for copies in (2, 3)]
        for trial in trials:
            if trial.failure:
                x = given(2)
                shape = f"an input {_shape(['N', *x.shape[1:]])}" if isinstance(x, Tensor) else MADE
                raise BadInput(f"the model does not take {shape} ({trial.failure})", REMEDY)
        trial = _readable(trials[0])
        sure = "give `repeat_input` T to show it each sample T times"
        if all(set(one.timesteps) == {copies} for one, copies in zip(trials, (2, 3), strict=True)):
            raise BadInput("the model takes the samples for timesteps: it wants sequences", sure)
        if set(trial.timesteps) == {1} and trial.keeps_state and isinstance(given(2), Tensor):
            raise BadInput("a call of the model is one timestep, and the data have no time", sure)
        return replace(trial, feed=AsItIs(repeats=max(trial.timesteps) > 1))

    def _tried(self, feed: Feed, x: Any) -> Trial:
        failure, output, left = "", None, False
        # Whatever there is to warn of is said when the network is run in earnest.
        with warnings.catch_warnings(), _evaluating(self._network), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                with record(self._network) as probe:
                    if feed.stepped:
                        probe.new_sequence()
                    output = feed.run(self._network, x, lambda output: output)
                left = self._rest.left
            except Exception as error:  # whatever their code raises
                failure = said(error)
            finally:
                self._rest.restore()
        if failure:
            return Trial(feed, {}, (), 0, "", failure, keeps_state=False)
        returned = takes_state(self._network) and output is not first(output)
        return Trial(
            feed,
            {number: layer.info.name for number, layer in probe.layers.items()},
            tuple(layer.info.timesteps for layer in probe.layers.values()),
            probe.samples or 0,
            next((f"{name}: {why}" for name, why in probe.left_out.items()), ""),
            failure,
            keeps_state=left or returned,
        )


def _shape(sizes: Sequence[object]) -> str:
    return f"[{', '.join(map(str, sizes))}]"


def _readable(trial: Trial) -> Trial:
    if not trial.names:
        why = f" ({trial.left_out})" if trial.left_out else ""
        raise BadInput(f"no layer of the model could be read{why}", "see `mpdviz.register`")
    return trial


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; each module's own afterwards."""
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def unmoved(device: torch.device) -> Iterator[None]:
    """Random numbers go on afterwards as if nothing had drawn any inside."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
