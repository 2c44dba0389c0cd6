"""Arrays of the user's own: checked once, and divided into training, validation and test."""

import numpy as np
import torch

from mpdviz.data.base import Dataset, Split
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput

SPLIT_SEED = 0
MOST_CLASSES = 1 << 20
"""Classes beyond which labels are other numbers."""
ENOUGH = 10  # samples of a class, from which a tenth for validation and a tenth for test are one each
LAYOUTS = "save x as vectors [N, F], sequences [N, T, F], images [N, C, H, W] or frames [N, T, C, H, W]"


def checked_samples(where: str, x: np.ndarray, *, any_rank: bool = False) -> np.ndarray:
    """The values of `x` as uint8 or float32, once sure that they are finite numbers in a layout to be had.

    Args:
        where: what errors start with: the file, or what else holds the samples.
        x: samples, batch-first.
        any_rank: take more axes, and images that are no squares.

    Raises:
        BadInput: they are not.
    """
    if x.dtype.kind not in "buif":
        raise BadInput(f"{where}: x has dtype {x.dtype}", "save x as real numbers, e.g. uint8 or float32")
    if x.ndim < 2 or (x.ndim > 5 and not any_rank):
        raise BadInput(f"{where}: x has {x.ndim} dimensions, shape {list(x.shape)}", LAYOUTS)
    if x.size == 0:
        raise BadInput(f"{where}: x has no values, shape {list(x.shape)}", "save at least one sample")
    if not any_rank and x.ndim > 3 and x.shape[-2] != x.shape[-1]:
        problem = f"{where}: images of x are {x.shape[-2]} high and {x.shape[-1]} wide, shape {list(x.shape)}"
        raise BadInput(problem, f"pad or crop them to squares, and {LAYOUTS}")
    if x.dtype == np.uint8:
        return x
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is reported below
        values = x.astype(np.float32, copy=False)
    if bad := values.size - np.count_nonzero(np.isfinite(values)):
        problem = f"{where}: x holds {bad} of {values.size} values that are NaN or infinite as float32"
        raise BadInput(problem, "remove or replace them")
    return values


def checked_labels(where: str, y: np.ndarray, samples: int) -> np.ndarray:
    """The labels as int64, once sure that they are whole numbers from 0, one a sample.

    Raises:
        BadInput: they are not.
    """
    if y.dtype.kind not in "iu":
        remedy = "save class numbers from 0: y.astype(np.int64), after checking that they are whole"
        raise BadInput(f"{where}: y has dtype {y.dtype}, and labels are integers", remedy)
    if y.ndim != 1:
        raise BadInput(f"{where}: y has {y.ndim} dimensions, shape {list(y.shape)}", "save y as [N]")
    if len(y) != samples:
        raise BadInput(f"{where}: x has {samples} samples and y {len(y)}", "save one label for each sample")
    labels = y.astype(np.int64)
    if bad := np.count_nonzero(labels < 0):
        raise BadInput(f"{where}: y holds {bad} negative labels", "number the classes from 0")
    if labels.max() >= MOST_CLASSES:
        raise BadInput(
            f"{where}: y holds the label {labels.max()}", "number the classes from 0, without gaps"
        )
    return labels


def has_frames(x: np.ndarray) -> bool:
    """Whether the second axis of samples is time: of sequences and frames, and of anything of more axes."""
    return x.ndim not in (2, 4)


def check_timesteps(where: str, x: np.ndarray, timesteps: int | None) -> None:
    """Refuse samples that carry another number of timesteps than was asked for.

    Raises:
        BadInput: they do.
    """
    if not has_frames(x) or timesteps in (None, x.shape[1]):
        return
    grey = ", or give grey images [N, H, W] a channel: x[:, None]" if x.ndim == 3 else ""
    raise BadInput(
        f"{where} holds {x.shape[1]} frames a sample, and {timesteps} timesteps were asked for",
        f"ask for {x.shape[1]}, or bin the events again: frames cannot be stretched{grey}",
    )


def divided(
    name: str, x: np.ndarray, y: torch.Tensor, classes: int, *, frames: bool, about_labels: str = ""
) -> Dataset:
    """The samples in three parts: 80 %, 10 % and 10 %, of every class where each has at least 10 samples.

    Args:
        name: of the data set.
        x: samples.
        y: labels `[N]`, or other targets `[N, ...]` of no classes.
        classes: number of classes; 0 where `y` is something else.
        frames: whether the second axis of `x` is time.
        about_labels: see `Dataset`.

    Returns:
        A data set whose split `all` is in the samples' own order.
    """
    whole = Split(torch.from_numpy(x), y)
    enough = classes > 0 and y.unique(return_counts=True)[1].min() >= ENOUGH
    strata = y if enough else torch.zeros(len(x), dtype=torch.int64)
    parts = stratified(strata, val=0.1, test=0.1, seed=SPLIT_SEED)
    train, val, test = (whole.take(part) for part in parts)
    return Dataset(
        name,
        train,
        val,
        test,
        classes=classes,
        frames=frames,
        file_order=torch.cat(parts).argsort(),
        about_labels=about_labels,
    )
