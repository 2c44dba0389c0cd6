"""What MNIST and Fashion-MNIST share: idx files of 28 x 28 pixels and labels, checksums, splits."""

import gzip
import hashlib
import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mpdviz.data.base import Dataset, Split
from mpdviz.data.formats.archives import downloaded
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput
from mpdviz.system.files import exists
from mpdviz.system.reading import read_bytes

SIDE = 28  # pixels
CLASSES = 10
SPLIT_SEED = 10
UNSIGNED_BYTES = 0x08  # the type code in the third byte of an idx file; the fourth is the number of axes


@dataclass(frozen=True)
class File:
    """One file, as published."""

    name: str
    """Unpacked; what is downloaded ends in .gz besides."""
    packed_md5: str
    """Of the .gz file at its publisher's."""
    md5: str
    """Of what is in it, which stays the same when somebody packs it anew."""


@dataclass(frozen=True)
class Idx:
    """One of the data sets, as published."""

    name: str
    url: str
    """Folder of the files."""
    folders: tuple[str, ...]
    """Where in `data_dir` the files may lie, besides in itself."""
    train: tuple[File, File]
    """Images and labels, like `test`."""
    test: tuple[File, File]
    mean: float
    """Of the training pixels, as a fraction of full intensity, like `std`."""
    std: float
    augment: Callable[[Tensor, torch.Generator], Tensor]
    counts: tuple[int, int] = (60_000, 10_000)
    """Images for training and test."""
    installed: Path | None = None
    """Where a package of the system puts the files."""
    package: str = ""
    """How to install that package."""
    remedy: str = field(init=False)
    """What to do where files are missing or wrong."""

    def __post_init__(self) -> None:
        """Say the remedy once."""
        given = (
            f"give as data_dir the folder that holds {self.train[0].name}.gz and the others, from {self.url}"
        )
        object.__setattr__(self, "remedy", f"{given}, or {self.package}" if self.package else given)


def load(kind: Idx, data_dir: Path | None) -> Dataset:
    """54,000 training, 6,000 validation and 10,000 test images.

    The validation images are a tenth of every class of the official training files; the test images are the
    official ones. Every file's content is held against its checksum, however it was packed.

    Args:
        kind: which one.
        data_dir: folder of the files, as .gz or unpacked, or the one above it as torchvision leaves it
            (`MNIST/raw`). None: the folder that a package of the system has installed, where there is one;
            else they are downloaded to the user's cache folder, once.

    Returns:
        Static images, uint8 `[N, 1, 28, 28]`.

    Raises:
        BadInput: a file is missing, cut short, damaged or another one, or cannot be downloaded.
    """
    folder = _folder(kind, data_dir)
    whole, test = (
        _split(kind, folder, files, count)
        for files, count in zip((kind.train, kind.test), kind.counts, strict=True)
    )
    train, val, _ = stratified(whole.y, val=0.1, test=0.0, seed=SPLIT_SEED)
    return Dataset(
        kind.name,
        whole.take(train),
        whole.take(val),
        test,
        classes=CLASSES,
        frames=False,
        mean=(kind.mean * 255,),
        std=(kind.std * 255,),
        augment=kind.augment,
    )


def _folder(kind: Idx, data_dir: Path | None) -> Path | None:
    """The folder that holds the files; None where they are to be downloaded."""
    first = kind.train[0].name
    if data_dir is None:
        return kind.installed if kind.installed is not None and exists(kind.installed) else None
    places = (data_dir, *(data_dir / folder for folder in kind.folders))
    for place in places:
        if exists(place / first) or exists(place / f"{first}.gz"):
            return place
    raise BadInput(f"no file {first} or {first}.gz in {data_dir}", kind.remedy)


def _split(kind: Idx, folder: Path | None, files: tuple[File, File], count: int) -> Split:
    images, labels = files
    pixels = _array(kind, folder, images, (count, SIDE, SIDE))
    y = _array(kind, folder, labels, (count,))
    return Split(pixels.unsqueeze(1), y.long())


def _array(kind: Idx, folder: Path | None, file: File, shape: tuple[int, ...]) -> Tensor:
    """What one file holds, once sure that it is what it should be."""
    header = bytes((0, 0, UNSIGNED_BYTES, len(shape))) + np.array(shape, ">u4").tobytes()
    size = len(header) + math.prod(shape)
    path, content = _content(kind, folder, file, size)
    if not content.startswith(header):
        expected = f"an idx file of {' x '.join(map(str, shape))} bytes"
        raise BadInput(
            f"{path} is not {expected}: it starts with {content[: len(header)].hex()}", kind.remedy
        )
    if len(content) != size:
        found = len(content) if len(content) < size else "more"
        raise BadInput(f"{path}: expected {size} bytes, found {found}", kind.remedy)
    values = torch.from_numpy(np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape).copy())
    if len(shape) == 1 and values.max() >= CLASSES:
        problem = f"{path}: label {int(values.max())} found, expected 0 to {CLASSES - 1}"
        raise BadInput(problem, kind.remedy)
    digest = hashlib.md5(content).hexdigest()
    if digest != file.md5:
        raise BadInput(f"{path} is damaged: md5 of its content {digest}, expected {file.md5}", kind.remedy)
    return values


def _content(kind: Idx, folder: Path | None, file: File, size: int) -> tuple[Path, bytes]:
    """A file and what it holds, unpacked: up to a byte more than its `size`."""
    packed = f"{file.name}.gz"
    if folder is None:
        path = downloaded(f"{kind.url}{packed}", file.packed_md5, f"{kind.name}-{packed}", kind.remedy)
    else:
        path = folder / file.name
        if exists(path):
            return path, read_bytes(path, "data", may_be_empty=True)
        path = folder / packed
        if not exists(path):
            raise BadInput(f"no file {folder / file.name} or {packed}", kind.remedy)
    content = read_bytes(path, "data", may_be_empty=True)
    try:
        # One byte more tells a file that is too long, and no more of it is ever unpacked.
        return path, gzip.GzipFile(fileobj=io.BytesIO(content)).read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path} cannot be unpacked: {error}", kind.remedy) from None
