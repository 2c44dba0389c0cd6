"""`digits`: the handwritten digits that come with scikit-learn, so nothing is downloaded."""

import torch
from torch import Tensor

from mpdviz.data.augment import random_shift
from mpdviz.data.base import Dataset, NamedData, Split
from mpdviz.data.splits import stratified

SPLIT_SEED = 1797
SHIFT = 1  # pixel; more would push strokes of an 8x8 digit out of the image


def load() -> Dataset:
    """The 1797 real digits of UCI's optical recognition set, 8x8 pixels.

    Each pixel counts the inked points of a 4x4 block, 0 to 16 (Alpaydin and Kaynak 1998). About 70 % of every
    class is for training, 10 % for validation, 20 % for test; normalised by the training samples' statistics.

    Returns:
        Static images, uint8 `[N, 1, 8, 8]`, 10 classes.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    whole = Split(
        torch.from_numpy(pixels).to(torch.uint8).reshape(-1, 1, 8, 8),
        torch.from_numpy(labels).to(torch.int64),
    )
    train, val, test = (whole.take(part) for part in stratified(whole.y, val=0.1, test=0.2, seed=SPLIT_SEED))
    values = train.x.double()
    return Dataset(
        "digits",
        train,
        val,
        test,
        classes=10,
        frames=False,
        mean=(values.mean().item(),),
        std=(values.std(correction=0).item(),),
        augment=_shifted,
    )


NAMED = NamedData("1797 handwritten digits, 8x8, built in; 10 classes", lambda timesteps, data_dir: load())


def _shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    return random_shift(x, SHIFT, generator)
