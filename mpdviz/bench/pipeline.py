"""Making training batches against training on them: does the data pipeline ever limit?"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mpdviz import data, networks
from mpdviz.bench import timing
from mpdviz.bench.networks import Step
from mpdviz.data import Dataset, Split
from mpdviz.data.augment import with_augmentation
from mpdviz.data.cifar import cropped_and_flipped
from mpdviz.data.cifar10_dvs import flipped_and_rolled
from mpdviz.kernels import backends
from mpdviz.system.memory import keep_large_buffers

BATCH = 100
SAMPLES = 1000
SLIM: dict[str, dict[str, Any]] = {
    "resnet19": {"encode_channels": 16, "planes": (16, 32, 64)},
    "vggsnn": {"encode_channels": 16, "planes": (32, 64, 128)},
}
"""Networks small enough that a pipeline could limit them."""


def images() -> dict[str, Dataset]:
    """Noise of CIFAR-10's shape and kind, by augmentation."""
    torch.manual_seed(0)
    x = torch.randint(0, 256, (SAMPLES, 3, 32, 32), dtype=torch.uint8)
    bare = _dataset(x, frames=False, mean=(125.0,) * 3, std=(62.0,) * 3)
    own = replace(bare, augment=cropped_and_flipped)
    return {
        "as stored": bare,
        "crop, flip": own,
        "+ AutoAugment": with_augmentation(own, own=True, auto=True, cutout=None),
        "+ cutout": with_augmentation(own, own=True, auto=True, cutout=16),
    }


def recordings() -> dict[str, Dataset]:
    """Noise of the shape of CIFAR10-DVS in ten frames, by augmentation."""
    torch.manual_seed(0)
    x = (torch.rand(SAMPLES // 5, 10, 2, 48, 48) < 0.2).half()
    bare = _dataset(x, frames=True)
    return {"as stored": bare, "flip, roll": replace(bare, augment=flipped_and_rolled)}


def compare(
    case: str,
    name: str,
    datasets: dict[str, Dataset],
    repeats: int,
    *,
    device: torch.device = timing.CPU,
    slim: bool = True,
) -> list[timing.Row]:
    """Times of a training step of the network `name`, slim or full, and of one batch for it, by augmentation.

    Batches are made on the CPU, as in training, and moved to the device. A row's ratio is how many times as
    many samples a second the pipeline makes as the network takes.
    """
    keep_large_buffers()
    first = next(iter(datasets.values()))
    made = networks.build(
        name,
        timesteps=first.timesteps or 2,
        num_classes=10,
        **networks.NETWORKS.find(name).sizes_for(first.sample_shape),
        **(SLIM[name] if slim else {}),
    ).to(device)
    x, y = next(data.batches(first, "train", BATCH))
    best = backends.best(device.type)
    step = Step(made.channels_last(), x.to(device), y.to(device), best)
    trained = f"slim {name}" if slim else name
    sources = {label: _batches(dataset, device) for label, dataset in datasets.items()}
    runs = {trained: partial(step)} | {label: partial(next, source) for label, source in sources.items()}
    for run in runs.values():
        run()
    times = timing.alternate(runs, repeats, device=device)
    return timing.rows(case, times, times[trained])


def _dataset(
    x: torch.Tensor, *, frames: bool, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()
) -> Dataset:
    part = Split(x, torch.arange(len(x)) % 10)
    return Dataset("noise", part, part, part, classes=10, frames=frames, mean=mean, std=std)


def _batches(dataset: Dataset, device: torch.device = timing.CPU) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(len(dataset.train), generator=generator)
        for x, y in data.batches(dataset, "train", BATCH, order=order, augment=generator):
            yield x.to(device), y.to(device)
