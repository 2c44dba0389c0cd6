"""`cifar10`: 60,000 colour photographs of 10 kinds of things, from the official binary files."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mpdviz.data.augment import random_flip, random_shift
from mpdviz.data.base import Dataset, Split
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput

FOLDER = "cifar-10-batches-bin"
SOURCE = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
REMEDY = f"give as data_dir the folder that holds {FOLDER}, unpacked from {SOURCE}"
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILE = "test_batch.bin"
RECORDS = 10_000  # a file
SHAPE = (3, 32, 32)  # red, green and blue planes, each row by row
CLASSES = 10
SPLIT_SEED = 10
PAD = 4  # pixels
# The statistics that the field's recipes quote, in units of the stored bytes.
MEAN = (0.4914 * 255, 0.4822 * 255, 0.4465 * 255)
STD = (0.2023 * 255, 0.1994 * 255, 0.2010 * 255)


def load(data_dir: Path | None) -> Dataset:
    """CIFAR-10 (Krizhevsky 2009): 45,000 training, 5,000 validation and 10,000 test images.

    The validation images are a tenth of every class of the official training files; the test images are the
    official ones. Training batches are cropped at random after padding by 4 pixels, and flipped.

    Args:
        data_dir: the folder `cifar-10-batches-bin`, or the one that holds it.

    Returns:
        Static images, uint8 `[N, 3, 32, 32]`, 10 classes.

    Raises:
        BadInput: if no folder is given, or a file is missing, unreadable, of another size or mislabelled.
    """
    if data_dir is None:
        raise BadInput("cifar10 is read from files, and no data_dir was given", REMEDY)
    folder = data_dir / FOLDER if (data_dir / FOLDER).is_dir() else data_dir
    files = [_read(folder / name) for name in TRAIN_FILES]
    whole = Split(torch.cat([part.x for part in files]), torch.cat([part.y for part in files]))
    train, val, _ = stratified(whole.y, val=0.1, test=0.0, seed=SPLIT_SEED)
    return Dataset(
        "cifar10",
        whole.take(train),
        whole.take(val),
        _read(folder / TEST_FILE),
        classes=CLASSES,
        frames=False,
        mean=MEAN,
        std=STD,
        augment=_cropped_and_flipped,
    )


def _read(path: Path) -> Split:
    """The 10,000 images of one file: records of a label byte and the pixels' bytes."""
    expected = RECORDS * (1 + int(np.prod(SHAPE)))
    try:
        content = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise BadInput(f"no file {path}", REMEDY) from None
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}", "check the file and its permissions"
        ) from None
    if content.size != expected:
        raise BadInput(
            f"{path}: expected {expected} bytes, found {content.size}", f"unpack it again from {SOURCE}"
        )
    records = torch.from_numpy(content).reshape(RECORDS, -1)
    labels = records[:, 0].long()
    if labels.max() >= CLASSES:
        problem = f"{path}: label {int(labels.max())} found, expected 0 to {CLASSES - 1}"
        raise BadInput(problem, f"unpack the binary version again from {SOURCE}")
    return Split(records[:, 1:].reshape(-1, *SHAPE), labels)


def _cropped_and_flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    return random_flip(random_shift(x, PAD, generator), generator)
