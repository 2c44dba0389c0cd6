"""Which samples are for training, validation and test: fixed by a constant seed, never by a run's."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

LIMIT_SEED = 1936
"""Of the draw of a part of the training samples."""


def stratified(y: Tensor, *, val: float, test: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Divide samples at random, each class by the same fractions.

    Args:
        y: class labels `[N]`.
        val: fraction of every class for validation, rounded to whole samples.
        test: fraction of every class for test, rounded to whole samples.
        seed: of the draw; a constant of the data set.

    Returns:
        int64 indices of the training, validation and test samples, each ascending; every sample is in one.
    """
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for members in _shuffled_classes(y, seed):
        for_val, for_test = round(len(members) * val), round(len(members) * test)
        cuts = [len(members) - for_val - for_test, len(members) - for_test]
        for part, chosen in zip(parts, np.split(members, cuts), strict=True):
            part.append(chosen)
    train, validation, held_out = (torch.from_numpy(np.sort(np.concatenate(part))) for part in parts)
    return train, validation, held_out


def limited(y: Tensor, count: int, *, seed: int = LIMIT_SEED) -> Tensor:
    """Draw some of the samples, of every class the same share up to a sample.

    Args:
        y: class labels `[N]`.
        count: how many, at most N. A smaller number gives a part of what a larger one gives.
        seed: of the draw; a constant.

    Returns:
        int64 indices `[count]`, ascending.
    """
    classes = list(_shuffled_classes(y, seed))
    members = np.concatenate(classes)
    place = np.concatenate([(np.arange(len(own)) + 0.5) / len(own) for own in classes])
    return torch.from_numpy(np.sort(members[np.argsort(place, kind="stable")[:count]]))


def _shuffled_classes(y: Tensor, seed: int) -> Iterator[np.ndarray]:
    """The samples of each class in a random order."""
    # The legacy generator, since it alone promises the same stream in every version of NumPy.
    random = np.random.RandomState(seed)
    by_class = np.argsort(y.numpy(), kind="stable")
    _, starts = np.unique(y.numpy()[by_class], return_index=True)
    for members in np.split(by_class, starts[1:]):
        yield random.permutation(members)
