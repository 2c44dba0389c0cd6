"""`npz:FILE`: the user's own arrays, used as they are."""

from pathlib import Path

import numpy as np
import torch

from mpdviz.data.base import Dataset, Split
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput
from mpdviz.system.arrays import archive_of

SPLIT_SEED = 0
MOST_CLASSES = 1 << 20
"""Classes beyond which labels are other numbers."""
NO_CLASSES = "y holds no class labels"
ENOUGH = 10  # samples of a class, from which a tenth for validation and a tenth for test are one each
SAVE = "write it with np.savez(FILE, x=x, y=y)"
LAYOUT = "save x as images [N, C, H, W] or frames [N, T, C, H, W]"
ANY_LAYOUT = f"{LAYOUT}, vectors [N, F] or sequences [N, T, F]"


def load(path: Path, timesteps: int | None = None) -> Dataset:
    """The samples of an npz file: `x`, images `[N, C, H, W]` or frames `[N, T, C, H, W]`, and `y [N]`.

    Other arrays in the file are ignored. Values are neither normalised nor augmented: uint8 stays as it is,
    other numbers become float32. For training, 80 % are chosen at random, 10 % are for validation and 10 %
    for test (of every class, if each has at least 10 samples); the split `all` is the file in its own order.

    Args:
        path: the file; a leading `~` is the home folder.
        timesteps: frames that the caller wants; only checked, since frames cannot be stretched.

    Returns:
        A data set of `max(y) + 1` classes; validation and test are empty for 5 samples and fewer.

    Raises:
        BadInput: if the file cannot be read, is damaged, or its arrays are not as described.
    """
    x, y = _read(path, ("x", "y"))
    values, labels = _checked_samples(path, x), _checked_labels(path, y, len(x))
    frames = x.ndim == 5
    if frames and timesteps not in (None, x.shape[1]):
        raise BadInput(
            f"{path} holds {x.shape[1]} frames a sample, and {timesteps} timesteps were asked for",
            f"ask for {x.shape[1]}, or bin the events again: frames cannot be stretched",
        )
    return _divided(path, values, torch.from_numpy(labels), int(labels.max()) + 1, frames=frames)


def load_as_it_is(path: Path) -> Dataset:
    """The samples of an npz file for a network of the user's own: `x` of any rank, any `y` or none.

    `x` is vectors `[N, F]`, images `[N, C, H, W]` or, with a time axis, sequences `[N, T, F]` and frames
    `[N, T, C, H, W]` (and so is anything of more axes). `y` is class labels where it is whole numbers from 0,
    truth values or text (`[N]`), else targets `[N, ...]`: integers as int64, others as float32.

    Args:
        path: the file; a leading `~` is the home folder.

    Returns:
        A data set divided like that of `load`, of 0 classes where `y` is no class labels.

    Raises:
        BadInput: if the file cannot be read, is damaged, or its arrays are not as described.
    """
    x, *y = _read(path, ("x",))
    values = _checked_samples(path, x, any_rank=True)
    targets, about = _targets(path, y[0], len(x)) if y else (torch.empty(len(x), 0), "no labels")
    classes = int(targets.max()) + 1 if targets.dtype == torch.int64 and about != NO_CLASSES else 0
    return _divided(path, values, targets, classes, frames=x.ndim not in (2, 4), about_labels=about)


def _divided(
    path: Path, x: np.ndarray, y: torch.Tensor, classes: int, *, frames: bool, about_labels: str = ""
) -> Dataset:
    """The samples in three parts, classes in equal shares where each has enough of them."""
    whole = Split(torch.from_numpy(x), y)
    enough = classes > 0 and y.unique(return_counts=True)[1].min() >= ENOUGH
    strata = y if enough else torch.zeros(len(x), dtype=torch.int64)
    parts = stratified(strata, val=0.1, test=0.1, seed=SPLIT_SEED)
    train, val, test = (whole.take(part) for part in parts)
    return Dataset(
        f"npz:{path}",
        train,
        val,
        test,
        classes=classes,
        frames=frames,
        file_order=torch.cat(parts).argsort(),
        about_labels=about_labels,
    )


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


def _checked_samples(path: Path, x: np.ndarray, *, any_rank: bool = False) -> np.ndarray:
    """The values of x as uint8 or float32, once sure that they are finite numbers in a layout to be had."""
    if x.dtype.kind not in "buif":
        raise BadInput(f"{path}: x has dtype {x.dtype}", "save x as real numbers, e.g. uint8 or float32")
    if (x.ndim < 2) if any_rank else (x.ndim not in (4, 5)):
        problem = f"{path}: x has {x.ndim} dimensions, shape {list(x.shape)}"
        raise BadInput(problem, ANY_LAYOUT if any_rank else LAYOUT)
    if x.size == 0:
        raise BadInput(f"{path}: x has no values, shape {list(x.shape)}", "save at least one sample")
    if not any_rank and x.shape[-2] != x.shape[-1]:
        problem = f"{path}: images of x are {x.shape[-2]} high and {x.shape[-1]} wide, shape {list(x.shape)}"
        raise BadInput(problem, f"pad or crop them to squares, and {LAYOUT}")
    if x.dtype == np.uint8:
        return x
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is reported below
        values = x.astype(np.float32, copy=False)
    if bad := values.size - np.count_nonzero(np.isfinite(values)):
        problem = f"{path}: x holds {bad} of {values.size} values that are NaN or infinite as float32"
        raise BadInput(problem, "remove or replace them")
    return values


def _checked_labels(path: Path, y: np.ndarray, samples: int) -> np.ndarray:
    """The labels as int64, once sure that they are whole numbers from 0, one a sample."""
    if y.dtype.kind not in "iu":
        remedy = "save class numbers from 0: y.astype(np.int64), after checking that they are whole"
        raise BadInput(f"{path}: y has dtype {y.dtype}, and labels are integers", remedy)
    if y.ndim != 1:
        raise BadInput(f"{path}: y has {y.ndim} dimensions, shape {list(y.shape)}", "save y as [N]")
    if len(y) != samples:
        raise BadInput(f"{path}: x has {samples} samples and y {len(y)}", "save one label for each sample")
    labels = y.astype(np.int64)
    if bad := np.count_nonzero(labels < 0):
        raise BadInput(f"{path}: y holds {bad} negative labels", "number the classes from 0")
    if labels.max() >= MOST_CLASSES:
        raise BadInput(f"{path}: y holds the label {labels.max()}", "number the classes from 0, without gaps")
    return labels


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
