"""What CIFAR-10 and CIFAR-100 share: records of label bytes and pixels, splits, crop and flip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mpdviz.data.augment import random_flip, random_shift
from mpdviz.data.base import Dataset, Split
from mpdviz.data.formats.archives import Archive, members, remedy
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput

SHAPE = (3, 32, 32)  # red, green and blue planes, each row by row
SPLIT_SEED = 10
PAD = 4  # pixels


@dataclass(frozen=True)
class Cifar:
    """One of the two data sets, as published."""

    name: str
    archive: Archive
    train_files: tuple[str, ...]
    test_file: str
    records: int
    """Images in a training file."""
    labels: int
    """Bytes of labels before the pixels; the last one is the class."""
    classes: int
    mean: tuple[float, float, float]
    """Of the training images, as fractions of full intensity, like `std`."""
    std: tuple[float, float, float]


def load(kind: Cifar, data_dir: Path | None) -> Dataset:
    """45,000 training, 5,000 validation and 10,000 test images.

    The validation images are a tenth of every class of the official training files; the test images are the
    official ones. Training batches are cropped at random after padding by 4 pixels, and flipped.

    Args:
        kind: which one.
        data_dir: see `archives.members`.

    Returns:
        Static images, uint8 `[N, 3, 32, 32]`.

    Raises:
        BadInput: a file is missing, unreadable, of another size or mislabelled, or cannot be downloaded.
    """
    contents = members(kind.archive, data_dir, (*kind.train_files, kind.test_file))
    parts = [_split(kind, name, contents.pop(name), kind.records) for name in kind.train_files]
    whole = Split(torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts]))
    train, val, _ = stratified(whole.y, val=0.1, test=0.0, seed=SPLIT_SEED)
    return Dataset(
        kind.name,
        whole.take(train),
        whole.take(val),
        _split(kind, kind.test_file, contents[kind.test_file], 10_000),
        classes=kind.classes,
        frames=False,
        mean=_bytes(kind.mean),
        std=_bytes(kind.std),
        augment=cropped_and_flipped,
    )


def cropped_and_flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    """What both data sets' recipes do to a training batch."""
    return random_flip(random_shift(x, PAD, generator), generator)


def _split(kind: Cifar, name: str, content: bytes, records: int) -> Split:
    expected = records * (kind.labels + int(np.prod(SHAPE)))
    if len(content) != expected:
        raise BadInput(f"{name}: expected {expected} bytes, found {len(content)}", remedy(kind.archive))
    table = torch.from_numpy(np.frombuffer(bytearray(content), np.uint8)).reshape(records, -1)
    labels = table[:, kind.labels - 1].long()
    if labels.max() >= kind.classes:
        problem = f"{name}: label {int(labels.max())} found, expected 0 to {kind.classes - 1}"
        raise BadInput(problem, remedy(kind.archive))
    return Split(table[:, kind.labels :].reshape(-1, *SHAPE), labels)


def _bytes(fractions: Sequence[float]) -> tuple[float, ...]:
    return tuple(fraction * 255 for fraction in fractions)
