"""`folder:DIR`: the user's own pictures, a folder a class."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mpdviz.data.augment import random_shift
from mpdviz.data.base import Dataset, Split
from mpdviz.data.formats.class_folders import Classes, classes_of, place_of
from mpdviz.data.formats.images import GREY, SUFFIXES, fitted, opened_image, pixels, statistics
from mpdviz.errors import BadInput
from mpdviz.system.memory import require_memory
from mpdviz.system.progress import bar
from mpdviz.system.reading import read_bytes

PREFIX = "folder:"
FILE_MOST = 256 << 20
"""Bytes of a file beyond which it is no picture to make a small one from."""
AGAIN = "copy it again, or leave it out"
MARGIN = 8  # a crop moves by up to an eighth of the side, as CIFAR's 4 pixels of 32


def load(name: str) -> Dataset:
    """The pictures of `folder:DIR` or `folder:DIR:size=64`; see `class_folders` for the folders.

    Pictures of one size, all square, are taken as they are; others need a `size`: the middle square of each
    is resized to it. Grey ones stay one channel where all are grey; transparency is left out. They are
    normalised by the training pictures' mean and deviation. Training batches are cropped at random after
    padding by an eighth of the side with black, and never flipped: what is mirrored may be another class.

    Args:
        name: the folder and its option.

    Returns:
        Static images, uint8 `[N, C, size, size]`; classes in the order of the alphabet.

    Raises:
        BadInput: no folders of pictures, a picture that is damaged or too large, or other sizes without a
            `size`.
    """
    folder, options = place_of(name, PREFIX, ("size",))
    found = classes_of(folder, SUFFIXES, "pictures")
    size, grey = _looked_through(found.paths, options.get("size"), folder)
    require_memory(
        len(found.paths) * (1 if grey else 3) * size * size,
        f"{len(found.paths)} pictures of {size} x {size} pixels",
        f"give a smaller size, e.g. {PREFIX}{folder}:size=32",
    )
    train, val, test = _decoded(found, size, grey=grey)
    mean, std = statistics(train.x)

    def cropped(x: Tensor, generator: torch.Generator) -> Tensor:
        return random_shift(x, size // MARGIN, generator)

    return Dataset(
        name, train, val, test, classes=len(found.names), frames=False, mean=mean, std=std, augment=cropped
    )


def _looked_through(paths: Iterable[Path], size: int | None, folder: Path) -> tuple[int, bool]:
    """The side of all pictures, and whether all are grey, from what their files say at the start."""
    sizes: Counter[tuple[int, int]] = Counter()
    examples: dict[tuple[int, int], Path] = {}
    grey = True
    for path in paths:
        with opened_image(_content(path), str(path), AGAIN) as image:
            sizes[image.size] += 1
            examples.setdefault(image.size, path)
            grey = grey and image.mode in GREY
    if size is not None:
        return size, grey
    (most, _), *others = sizes.most_common()
    remedy = f"give the side that they are to have, e.g. {PREFIX}{folder}:size={min(min(sizes))}"
    if others:
        shown = " and ".join(f"{w} x {h} pixels ({examples[w, h]})" for w, h in (most, others[0][0]))
        raise BadInput(f"pictures differ in size: {shown}", remedy)
    if most[0] != most[1]:
        raise BadInput(f"pictures are {most[0]} pixels wide and {most[1]} high ({examples[most]})", remedy)
    return most[0], grey


def _decoded(found: Classes, size: int, *, grey: bool) -> list[Split]:
    """The three parts, each picture decoded straight into its place."""
    parts = []
    with bar("reading pictures", len(found.paths)) as progress:
        for part in found.parts:
            x = np.empty((len(part), 1 if grey else 3, size, size), np.uint8)
            for place, i in enumerate(part.tolist()):
                path = found.paths[i]
                with opened_image(_content(path), str(path), AGAIN) as image:
                    x[place] = pixels(fitted(image, size), grey=grey)
                progress.update()
            parts.append(Split(torch.from_numpy(x), torch.tensor(found.labels)[part]))
    return parts


def _content(path: Path) -> bytes:
    return read_bytes(path, "picture", FILE_MOST)
