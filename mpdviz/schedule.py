"""What a run does in a given epoch, from its settings alone: learning rate and random draws."""

import math

import numpy as np
import torch

from mpdviz.config import RunConfig


def learning_rate(config: RunConfig, epoch: int) -> float:
    """Cosine from `config.lr` to 0 over the epochs, constant within one; `epoch` counts from 0."""
    return config.lr * (1 + math.cos(math.pi * epoch / config.epochs)) / 2


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The random numbers of one epoch (data order, augmentation), independent of every other epoch's."""
    low, high = np.random.SeedSequence(seed, spawn_key=(epoch,)).generate_state(2)
    return torch.Generator().manual_seed(int(low) | int(high) << 32)
