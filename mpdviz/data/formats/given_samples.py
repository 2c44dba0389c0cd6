"""Samples and labels of data handed over in Python, stacked into memory; see `given`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from mpdviz.data.formats.images import GREY, check_mode, pixels
from mpdviz.errors import BadInput
from mpdviz.system.memory import require_memory

SAMPLES = ("image", "img", "x", "pixel_values")
LABELS = ("label", "labels", "y")
"""What columns are called that hold samples, and labels."""
COPIES = 2
"""Of the samples, that dividing them holds at a time."""


class Samples(NamedTuple):
    """One set, batch-first."""

    x: np.ndarray
    y: np.ndarray
    pictures: bool
    """Whether the samples came as pictures of Pillow, not as numbers."""


def is_pair(data: Any) -> bool:
    """Whether it is a pair of arrays or tensors, not a list of two samples."""
    if not (isinstance(data, tuple | list) and len(data) == 2):
        return False
    return all(isinstance(one, np.ndarray | torch.Tensor) and one.ndim for one in data)


def of_arrays(x: Any, y: Any) -> Samples:
    """A pair of arrays or tensors."""
    values = array_of(x)
    # Not the user's memory: they may go on writing into it.
    return Samples(values.copy(), array_of(y), False)


def of_items(data: Any, where: str) -> Samples:
    """A sequence of pairs (x, y): a map-style torch data set, or a list.

    Raises:
        BadInput: an item that is no pair, or cannot be had.
    """

    def item(i: int) -> tuple[Any, Any]:
        found = _had(lambda: data[i], i, where)
        if not (isinstance(found, tuple | list) and len(found) == 2):
            kind = (
                f"{type(found).__name__} of {len(found)}"
                if hasattr(found, "__len__")
                else type(found).__name__
            )
            raise BadInput(
                f"sample {i} of {where} is a {kind}, no pair (x, y)", "give pairs of sample and label"
            )
        return found[0], found[1]

    return _stacked(len(data), item, where)


def of_table(table: Any, where: str) -> Samples:
    """A `datasets.Dataset`.

    Raises:
        BadInput: no column of samples or of labels, or several.
    """
    columns = list(_had(lambda: table[0], 0, where)) if len(table) else table.column_names
    types = {name: type(table.features[name]).__name__ for name in columns if name in table.features}
    x = _column([name for name in columns if types.get(name) == "Image"], SAMPLES, columns, where, "samples")
    y = _column(
        [name for name in columns if types.get(name) == "ClassLabel"], LABELS, columns, where, "labels"
    )

    def item(i: int) -> tuple[Any, Any]:
        row = _had(lambda: table[i], i, where)
        return row[x], row[y]

    return _stacked(len(table), item, where)


def array_of(value: Any) -> np.ndarray:
    """Numbers of a tensor on any device, an array, a list or a number.

    Raises:
        BadInput: it is nothing of that.
    """
    try:
        if isinstance(value, torch.Tensor):
            return value.detach().cpu().numpy()
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"a {type(value).__name__} is no array: {str(error)[:200]}", "give arrays of numbers"
        ) from None


def _column(typed: Sequence[str], known: Sequence[str], columns: Sequence[str], where: str, what: str) -> str:
    found = list(typed) or [name for name in known if name in columns]
    if len(found) != 1:
        problem = f"{where} has {len(found) or 'no'} columns of {what} (its columns: {', '.join(columns)})"
        raise BadInput(problem, f"rename one to {known[0]}, and remove others like it")
    return found[0]


def _stacked(count: int, item: Callable[[int], tuple[Any, Any]], where: str) -> Samples:
    """All samples in one array, each written straight into its place."""
    if not count:
        raise BadInput(f"{where} holds no samples", "give at least one")
    first, _ = item(0)
    pictures = _is_picture(first)
    grey = pictures and first.mode in GREY
    like = _values(first, 0, where, grey=grey)
    what = f"{count} samples of shape {list(like.shape)} ({like.dtype})"
    require_memory(COPIES * count * like.nbytes, what, "give fewer or smaller samples")
    x = np.empty((count, *like.shape), like.dtype)
    labels = []
    for i in range(count):
        sample, label = item(i)
        if _is_picture(sample) != pictures or (pictures and (sample.mode in GREY) != grey):
            remedy = 'make them alike, e.g. with picture.convert("RGB")'
            raise BadInput(f"sample {i} of {where} is of another kind than sample 0", remedy)
        values = _values(sample, i, where, grey=grey)
        if values.shape != like.shape or values.dtype != like.dtype:
            theirs, ours = (f"{one.dtype} of shape {list(one.shape)}" for one in (values, like))
            raise BadInput(
                f"sample {i} of {where} is {theirs}, and sample 0 {ours}", "make all samples alike"
            )
        x[i] = values
        labels.append(_label(label, i, where))
    return Samples(x, np.array(labels, np.int64), pictures)


def _values(sample: Any, i: int, where: str, *, grey: bool) -> np.ndarray:
    if not _is_picture(sample):
        return array_of(sample)
    check_mode(sample, f"sample {i} of {where}")
    values: np.ndarray = _had(lambda: pixels(sample, grey=grey), i, where)
    return values


def _label(label: Any, i: int, where: str) -> int:
    value = array_of(label)
    if value.size != 1 or value.dtype.kind not in "iu":
        problem = f"the label of sample {i} of {where} is {str(label)[:80]!r}, no class number"
        raise BadInput(problem, "number the classes from 0")
    return int(value.reshape(()))


def _is_picture(sample: Any) -> bool:
    return any(kind.__module__ == "PIL.Image" for kind in type(sample).__mro__)


def _had(get: Callable[[], Any], i: int, where: str) -> Any:
    """What the user's own code returns, whatever it raises told in one line."""
    try:
        return get()
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise BadInput(f"sample {i} of {where} cannot be had: {reason}", "mend the data set") from None
