"""What a run sees in a given epoch, from its settings alone: random draws and batches."""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mpdviz import data
from mpdviz.config import RunConfig
from mpdviz.data import Dataset
from mpdviz.training.targets import mixed


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The random numbers of one epoch (data order, augmentation), independent of every other epoch's."""
    low, high = np.random.SeedSequence(seed, spawn_key=(epoch,)).generate_state(2)
    return torch.Generator().manual_seed(int(low) | int(high) << 32)


def steps_per_epoch(config: RunConfig, dataset: Dataset) -> int:
    """Whole batches in the training set."""
    return len(dataset.train) // config.batch_size


def remaining_batches(
    config: RunConfig, dataset: Dataset, epoch: int, done: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of `epoch`, from 0, that come after the first `done`; see `data.batches`.

    With `mixup` the second of a pair is shares of the classes, float32 `[n, classes]`.
    """
    generator = epoch_generator(config.seed, epoch)
    order = _order(config, dataset, generator)
    batches = data.batches(dataset, "train", config.batch_size, order=order, augment=generator)
    for step, (x, y) in enumerate(batches):
        # A resumed epoch draws what was drawn before, so that the rest comes out the same.
        if config.mixup is not None:
            x, y = mixed(x, y, config.mixup, dataset.classes, generator, axis=int(dataset.frames))
        if step >= done:
            yield x, y


def order_hash(config: RunConfig, dataset: Dataset) -> str:
    """SHA-256 of the numbers of the training samples, in the order in which the first epoch visits them."""
    order = _order(config, dataset, epoch_generator(config.seed, 0))
    return hashlib.sha256(order.numpy().tobytes()).hexdigest()


def _order(config: RunConfig, dataset: Dataset, generator: torch.Generator) -> Tensor:
    """Which samples an epoch visits, int64 indices into the training set, the generator as it begins."""
    # The incomplete last batch is left out: which samples it holds changes with every epoch.
    visited = steps_per_epoch(config, dataset) * config.batch_size
    return torch.randperm(len(dataset.train), generator=generator)[:visited]
