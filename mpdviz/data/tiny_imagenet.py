"""`tiny-imagenet`: 110,000 labelled photographs of 200 kinds of things (Stanford's CS231n, 2015)."""

import zipfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mpdviz.data.augment import random_flip, random_shift
from mpdviz.data.base import Dataset, NamedData, Split
from mpdviz.data.formats.archives import Archive, check_md5, check_member, downloaded, remedy
from mpdviz.data.formats.images import opened_image, pixels
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput
from mpdviz.system.files import exists
from mpdviz.system.memory import require_memory
from mpdviz.system.progress import bar
from mpdviz.system.reading import check_archive, read_bytes

SIDE = 64  # pixels
PAD = 8  # pixels
SPLIT_SEED = 10


@dataclass(frozen=True)
class TinyImageNet:
    """The data set, as published."""

    archive: Archive
    classes: int = 200
    images: int = 500
    """Training images a class."""
    tests: int = 10_000


TINY_IMAGENET = TinyImageNet(
    Archive(
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        "90528d7ca1a48142e341f4ef8d21d0de",
        "tiny-imagenet-200",
    )
)
MEAN, STD = (0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821)  # of all training images, as the field quotes

Read = Callable[[str], bytes]
"""The content of a file by its path in the folder of the data set."""


def load(kind: TinyImageNet, data_dir: Path | None) -> Dataset:
    """90,000 training, 10,000 validation and 10,000 test images.

    The official test images have no labels, so those for validation are the test split, and a tenth of every
    class of the training images is for validation. Classes are in the order of their WordNet numbers. Grey
    pictures have three equal channels. Training batches are cropped at random after padding by 8 pixels, and
    flipped.

    Args:
        kind: what to expect.
        data_dir: the folder tiny-imagenet-200, the one that holds it, or that of the zip file, from which
            everything is read without unpacking it; None downloads that to the user's cache folder, once.

    Returns:
        Static images, uint8 `[N, 3, 64, 64]`.

    Raises:
        BadInput: a file is missing or damaged, an image is of another size, or there is no download.
    """
    with ExitStack() as stack:
        read, where = _opened(kind.archive, data_dir, stack)
        again = remedy(kind.archive)
        numbers = sorted(_lines(read, "wnids.txt", where, again))
        if len(set(numbers)) != kind.classes or len(numbers) != kind.classes:
            problem = f"{where} wnids.txt: expected {kind.classes} classes, found {len(set(numbers))}"
            raise BadInput(problem, again)
        names = [f"train/{n}/images/{n}_{i}.JPEG" for n in numbers for i in range(kind.images)]
        y = torch.arange(kind.classes).repeat_interleave(kind.images)
        tests, test_y = _annotated(read, numbers, kind.tests, where, again)
        size = 3 * SIDE * SIDE * (len(names) + len(tests))
        require_memory(size, f"{len(names) + len(tests)} images of {SIDE} x {SIDE} pixels", "use more memory")
        train, val, _ = stratified(y, val=0.1, test=0.0, seed=SPLIT_SEED)
        with bar("reading pictures", len(names) + len(tests)) as progress:
            parts = [
                Split(
                    _decoded([names[i] for i in part.tolist()], read, where, again, progress.update), y[part]
                )
                for part in (train, val)
            ]
            test = Split(_decoded(tests, read, where, again, progress.update), test_y)
    return Dataset(
        "tiny-imagenet",
        parts[0],
        parts[1],
        test,
        classes=kind.classes,
        frames=False,
        mean=tuple(255 * value for value in MEAN),
        std=tuple(255 * value for value in STD),
        augment=cropped_and_flipped,
    )


NAMED = NamedData(
    "110,000 colour photographs, 64x64; 200 classes",
    lambda timesteps, data_dir: load(TINY_IMAGENET, data_dir),
)


def cropped_and_flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    """What recipes do to a training batch."""
    return random_flip(random_shift(x, PAD, generator), generator)


def _opened(archive: Archive, data_dir: Path | None, stack: ExitStack) -> tuple[Read, str]:
    """How to read a file of the data set, and where it lies, as errors put it before its path."""
    again = remedy(archive)
    if data_dir is not None:
        folder = data_dir / archive.folder if exists(data_dir / archive.folder) else data_dir
        path = data_dir / archive.name
        if exists(folder / "wnids.txt"):
            return lambda name: _file(folder / name, again), f"{folder}:"
        if not exists(path):
            raise BadInput(f"no {archive.folder} or {archive.name} in {data_dir}", again)
    else:
        path = downloaded(archive.url, archive.md5, archive.name, again)
    check_md5(path, archive.md5, f"remove it and download it again from {archive.url}")
    try:
        packed = stack.enter_context(zipfile.ZipFile(path))
    except (OSError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} cannot be read as an archive: {error}", again) from None
    check_archive(packed, path.stat().st_size, str(path))
    for name in packed.namelist():
        check_member(name, path, again)

    def read(name: str) -> bytes:
        try:
            return packed.read(f"{archive.folder}/{name}")
        except KeyError:
            raise BadInput(f"{path} has no {archive.folder}/{name}", again) from None
        except Exception as error:  # zipfile and zlib answer damage in half a dozen ways
            raise BadInput(f"{path}: {name} is damaged: {error}", again) from None

    return read, f"{path}:"


def _file(path: Path, again: str) -> bytes:
    if not exists(path):
        raise BadInput(f"no file {path}", again)
    return read_bytes(path, "data")


def _lines(read: Read, name: str, where: str, again: str) -> list[str]:
    try:
        return read(name).decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise BadInput(f"{where} {name} is no text", again) from None


def _annotated(
    read: Read, numbers: Sequence[str], expected: int, where: str, again: str
) -> tuple[list[str], Tensor]:
    """The labelled images besides those for training: their files, and labels `[N]`."""
    name = "val/val_annotations.txt"
    labels = {number: label for label, number in enumerate(numbers)}
    files: dict[str, int] = {}
    for line in _lines(read, name, where, again):
        file, number, *_ = [*line.split("\t"), ""]
        # A name with a folder in it would be read from anywhere.
        if number not in labels or not file or "/" in file or "\\" in file:
            raise BadInput(f"{where} {name}: no image and class in {line[:80]!r}", again)
        files[f"val/images/{file}"] = labels[number]
    if len(files) != expected:
        raise BadInput(f"{where} {name}: expected {expected} images, found {len(files)}", again)
    return list(files), torch.tensor(list(files.values()))


def _decoded(names: Sequence[str], read: Read, where: str, again: str, step: Callable[[], None]) -> Tensor:
    x = np.empty((len(names), 3, SIDE, SIDE), np.uint8)
    for place, name in enumerate(names):
        with opened_image(read(name), f"{where} {name}", again) as image:
            if image.size != (SIDE, SIDE):
                problem = f"{where} {name} is {image.size[0]} x {image.size[1]} pixels, not {SIDE} x {SIDE}"
                raise BadInput(problem, again)
            x[place] = pixels(image, grey=False)
        step()
    return torch.from_numpy(x)
