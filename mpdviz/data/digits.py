"""`digits`: the handwritten digits that come with scikit-learn, so nothing is downloaded."""

import gzip
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mpdviz.data.augment import random_shift
from mpdviz.data.base import Dataset, NamedData, Split
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput
from mpdviz.system.reading import read_bytes

SAMPLES, PIXELS, MOST = 1797, 64, 16
"""Of the file: rows, columns before the label, and the largest value of a pixel."""
PLACE = Path("datasets", "data", "digits.csv.gz")
"""Where scikit-learn keeps them."""
SPLIT_SEED = 1797
_INSTALL = "install scikit-learn again: pip install --force-reinstall scikit-learn"
SHIFT = 1  # pixel; more would push strokes of an 8x8 digit out of the image


def load() -> Dataset:
    """The 1797 real digits of UCI's optical recognition set, 8x8 pixels.

    Each pixel counts the inked points of a 4x4 block, 0 to 16 (Alpaydin and Kaynak 1998). About 70 % of every
    class is for training, 10 % for validation, 20 % for test; normalised by the training samples' statistics.

    Returns:
        Static images, uint8 `[N, 1, 8, 8]`, 10 classes.

    Raises:
        BadInput: scikit-learn is not installed, or its file is missing or damaged.
    """
    whole = _read(_place())
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


def _place() -> Path:
    # Found, not imported: importing scikit-learn takes a second, and nothing of it but this file is used.
    found = find_spec("sklearn")
    folders = found.submodule_search_locations if found is not None else None
    if not folders:
        raise BadInput("data set digits is a file of scikit-learn, which is not installed", _INSTALL)
    return Path(folders[0]) / PLACE


def _read(path: Path) -> Split:
    """The samples in the order of the file: a row each, its pixels by rows, then its label."""
    packed = read_bytes(path, "data set digits,")
    try:
        lines = gzip.decompress(packed).decode().splitlines()
        if not lines:
            raise ValueError("it is empty")
        rows = np.loadtxt(lines, np.uint8, delimiter=",", ndmin=2)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BadInput(f"data set digits, {path} is damaged: {str(error)[:200]}", _INSTALL) from None
    pixels, labels = rows[:, :-1], rows[:, -1]
    if rows.shape != (SAMPLES, PIXELS + 1) or pixels.max() > MOST or labels.max() > 9:
        raise BadInput(
            f"data set digits, {path} does not hold {SAMPLES} rows of {PIXELS} pixels and a label", _INSTALL
        )
    return Split(
        torch.from_numpy(pixels.copy()).reshape(-1, 1, 8, 8), torch.from_numpy(labels.astype(np.int64))
    )


def _shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    return random_shift(x, SHIFT, generator)
