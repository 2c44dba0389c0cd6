"""Which samples are for training, validation and test: fixed by a constant seed, never by a run's."""

import numpy as np
import torch
from torch import Tensor


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
    # The legacy generator, since it alone promises the same stream in every version of NumPy.
    random = np.random.RandomState(seed)
    by_class = np.argsort(y.numpy(), kind="stable")
    _, starts = np.unique(y.numpy()[by_class], return_index=True)
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for members in np.split(by_class, starts[1:]):
        for_val, for_test = round(len(members) * val), round(len(members) * test)
        cuts = [len(members) - for_val - for_test, len(members) - for_test]
        for part, chosen in zip(parts, np.split(random.permutation(members), cuts), strict=True):
            part.append(chosen)
    train, validation, held_out = (torch.from_numpy(np.sort(np.concatenate(part))) for part in parts)
    return train, validation, held_out
