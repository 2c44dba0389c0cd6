"""`npz:FILE`: the user's own arrays, used as they are."""

from pathlib import Path

import numpy as np
import torch

from mpdviz.data.base import Dataset
from mpdviz.data.formats.samples import (
    MOST_CLASSES,
    check_timesteps,
    checked_labels,
    checked_samples,
    divided,
    has_frames,
)
from mpdviz.errors import BadInput
from mpdviz.system.arrays import archive_of

NO_CLASSES = "y holds no class labels"
SAVE = "write it with np.savez(FILE, x=x, y=y)"


def load(path: Path, timesteps: int | None = None, *, as_it_is: bool = False) -> Dataset:
    """The samples `x` of an npz file and what it says of them, `y`.

    `x` is vectors `[N, F]`, images `[N, C, H, W]` or, with a time axis, sequences `[N, T, F]` and frames
    `[N, T, C, H, W]`; images and frames are squares. `y` is class labels `[N]`, whole numbers from 0. Other
    arrays in the file are ignored. Values are neither normalised nor augmented: uint8 stays as it is, other
    numbers become float32. For training, 80 % are chosen at random, 10 % are for validation and 10 % for
    test (of every class, if each has at least 10 samples); the split `all` is the file in its own order.

    Args:
        path: the file; a leading `~` is the home folder.
        timesteps: frames that the caller wants; only checked, since frames cannot be stretched.
        as_it_is: take it for a network of the user's own: `x` may have more axes, of which the second is
            time, and images of any shape; `y` is class labels where it is whole numbers from 0, truth values
            or text (`[N]`), else targets `[N, ...]`, integers as int64, others as float32; or there is none.

    Returns:
        A data set of `max(y) + 1` classes, 0 where `y` is no class labels; validation and test are empty for
        5 samples and fewer.

    Raises:
        BadInput: if the file cannot be read, is damaged, or its arrays are not as described.
    """
    x, *y = _read(path, ("x",) if as_it_is else ("x", "y"))
    values = checked_samples(str(path), x, any_rank=as_it_is)
    if as_it_is:
        targets, about = _targets(path, y[0], len(x)) if y else (torch.empty(len(x), 0), "no labels")
    else:
        check_timesteps(str(path), x, timesteps)
        targets, about = torch.from_numpy(checked_labels(str(path), y[0], len(x))), ""
    classes = int(targets.max()) + 1 if targets.dtype == torch.int64 and about != NO_CLASSES else 0
    return divided(f"npz:{path}", values, targets, classes, frames=has_frames(x), about_labels=about)


def _read(path: Path, wanted: tuple[str, ...]) -> list[np.ndarray]:
    """The arrays x and y of a sound npz file, as stored; objects in it are never unpickled.

    Without y where the file has none and it is not `wanted`.
    """
    try:
        path = path.expanduser()
    except RuntimeError as error:  # ~ of nobody
        raise BadInput(f"data {path}: {error}", "check the path after npz:") from None
    try:
        path.lstat()
    except FileNotFoundError:
        raise BadInput(f"no file {path}", "check the path after npz:") from None
    except (OSError, ValueError):
        pass  # opening it says what
    with archive_of(path, "data", SAVE) as archive:
        if missing := set(wanted).difference(archive.files):
            lacks, found = " and ".join(sorted(missing)), ", ".join(archive.files)[:200] or "none"
            raise BadInput(f"{path} has no array {lacks} (its arrays: {found})", SAVE)
        return [archive[name] for name in ("x", "y") if name in archive.files]


def _targets(path: Path, y: np.ndarray, samples: int) -> tuple[torch.Tensor, str]:
    """Whatever y holds, and what has to be said about it."""
    if y.dtype.kind not in "biufU":
        raise BadInput(f"{path}: y has dtype {y.dtype}", "save y as numbers or text, or leave it out")
    if y.ndim == 0 or len(y) != samples:
        found = len(y) if y.ndim else "one for all"
        raise BadInput(f"{path}: x has {samples} samples and y {found}", "save one target for each sample")
    if y.dtype.kind == "U":
        if y.ndim > 1:
            raise BadInput(f"{path}: y holds text, shape {list(y.shape)}", "save one label for each sample")
        names, labels = np.unique(y, return_inverse=True)
        return torch.from_numpy(labels.astype(np.int64)), f"{len(names)} names numbered in their order"
    if y.dtype.kind == "f":
        return torch.from_numpy(y.astype(np.float32)), NO_CLASSES
    targets = torch.from_numpy(y.astype(np.int64))
    numbered = targets.dim() == 1 and bool(((targets >= 0) & (targets < MOST_CLASSES)).all())
    return targets, "" if numbered else NO_CLASSES
