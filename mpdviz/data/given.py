"""Data handed over in Python: arrays, torch data sets, Hugging Face's, or parts of them by name."""

import hashlib
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mpdviz.data.base import Dataset, Split
from mpdviz.data.formats.given_samples import Samples, is_pair, of_arrays, of_items, of_table
from mpdviz.data.formats.images import statistics
from mpdviz.data.formats.samples import check_timesteps, checked_labels, checked_samples, divided, has_frames
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput, MpdvizWarning

SPLIT_SEED = 0
KINDS = (
    "give a pair (x, y) of arrays, a torch data set of such pairs, a Hugging Face one, or a mapping of them, "
    '{"train": ..., "val": ..., "test": ...}'
)
PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""What parts may be called, and what they are here."""


def dataset_of(data: Any, *, name: str | None = None, timesteps: int | None = None) -> Dataset:
    """A data set in memory from data of the user's own.

    Samples are vectors `[F]`, sequences `[T, F]`, images `[C, H, W]` or frames `[T, C, H, W]`, all of one
    shape; pictures of Pillow become uint8 `[C, H, W]`. Numbers are used as they are: uint8 stays, others
    become float32. Pictures are normalised by the training samples' mean and deviation, a channel each.
    Nothing is augmented. Labels are class numbers from 0.

    One set is divided by class, 80 % for training and 10 % each for validation and test, always alike. Of a
    mapping, or a `DatasetDict`, the parts are taken as they are; where there is no part for validation, a
    tenth of every class of train is that, and where there is none for test, what is for validation is for
    test, which a warning says.

    Args:
        data: a `Dataset` of this package, returned as it is; a pair (x, y) of arrays or tensors, batch-first;
            a map-style torch data set whose items are pairs (x, y); a `datasets.Dataset`, whose columns are
            found by their features (Image, ClassLabel) or names (image, img, x, pixel_values; label, labels,
            y); or a mapping of any of these, `train`, `val` and `test`.
        name: of the result; None: `given:` and the start of a SHA-256 over samples and labels, which tells
            runs on the same data from others.
        timesteps: frames T that the caller wants; only checked, since frames cannot be stretched.

    Returns:
        The data set; `all` is one set in its own order.

    Raises:
        BadInput: something else, an iterable data set, samples of several shapes, values that are no finite
            numbers, or labels that are no class numbers; or too little memory.
    """
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, Mapping):
        samples = _checked(_samples(data, "the data"), "the data", timesteps)
        named = name or _digest({"": samples})
        whole = divided(
            named,
            samples.x,
            torch.from_numpy(samples.y),
            int(samples.y.max()) + 1,
            frames=has_frames(samples.x),
        )
        return _normalised(whole, pictures=samples.pictures)
    parts = _parts(data, timesteps)
    named = name or _digest(parts)
    train, val, test = _split_up(parts)
    classes = max(int(part.y.max()) + 1 for part in parts.values())
    frames = has_frames(parts["train"].x)
    return _normalised(
        Dataset(named, train, val, test, classes=classes, frames=frames), pictures=parts["train"].pictures
    )


def _samples(data: Any, where: str) -> Samples:
    """The samples of one set, whatever it is."""
    datasets = sys.modules.get("datasets")  # what is one of Hugging Face's has been imported
    hugging_face = getattr(datasets, "Dataset", None)
    streams = (torch.utils.data.IterableDataset, getattr(datasets, "IterableDataset", None))
    if isinstance(data, tuple(kind for kind in streams if kind is not None)):
        remedy = "collect its samples first, e.g. into arrays x and y"
        raise BadInput(f"{where} is an iterable data set, whose samples have no fixed order", remedy)
    if isinstance(data, torch.utils.data.DataLoader):
        raise BadInput(f"{where} is a DataLoader", "give its `dataset`: batches are drawn here")
    if hugging_face is not None and isinstance(data, hugging_face):
        return of_table(data, where)
    if is_pair(data):
        return of_arrays(*data)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, str | bytes):
        return of_items(data, where)
    raise BadInput(f"{where} is of type {type(data).__name__}", KINDS)


def _checked(samples: Samples, where: str, timesteps: int | None) -> Samples:
    x = checked_samples(where, samples.x)
    check_timesteps(where, x, timesteps)
    return Samples(x, checked_labels(where, samples.y, len(x)), samples.pictures)


def _parts(data: Mapping[Any, Any], timesteps: int | None) -> dict[str, Samples]:
    """The parts of a mapping, checked, in the order train, val, test."""
    found: dict[str, Samples] = {}
    for key, value in data.items():
        part = PARTS.get(key) if isinstance(key, str) else None
        if part is None or part in found:
            reason = "is there twice" if part else "is no part"
            raise BadInput(
                f"the data: {key!r} {reason}", f"name the parts train, val and test; found {list(data)}"
            )
        found[part] = _checked(_samples(value, key), key, timesteps)
    if "train" not in found:
        raise BadInput(f"the data have no part train, but {', '.join(map(str, data)) or 'none'}", KINDS)
    first = found["train"].x
    for part, samples in found.items():
        if samples.x.shape[1:] != first.shape[1:] or samples.x.dtype != first.dtype:
            theirs, ours = (f"{x.dtype} {list(x.shape[1:])}" for x in (samples.x, first))
            raise BadInput(f"samples of {part} are {theirs}, and {ours} of train", "make them alike")
    return {part: found[part] for part in ("train", "val", "test") if part in found}


def _split_up(parts: Mapping[str, Samples]) -> list[Split]:
    """Training, validation and test."""
    splits = {part: Split(torch.from_numpy(s.x), torch.from_numpy(s.y)) for part, s in parts.items()}
    if "val" in splits and "test" not in splits:
        note = "the data have no part test: val is for test, a tenth of train for validation"
        warnings.warn(note, MpdvizWarning, stacklevel=3)
        splits["test"] = splits.pop("val")
    val, test = (0.0 if part in splits else 0.1 for part in ("val", "test"))
    whole = splits["train"]
    drawn = stratified(whole.y, val=val, test=test, seed=SPLIT_SEED)
    own = dict(zip(("train", "val", "test"), map(whole.take, drawn), strict=True))
    return [own["train"], splits.get("val", own["val"]), splits.get("test", own["test"])]


def _normalised(dataset: Dataset, *, pictures: bool) -> Dataset:
    if not pictures:
        return dataset
    mean, std = statistics(dataset.train.x)
    return replace(dataset, mean=mean, std=std)


def _digest(parts: Mapping[str, Samples]) -> str:
    """A name that is the same for the same samples and labels in the same parts."""
    digest = hashlib.sha256()
    for part, samples in parts.items():
        for values in (samples.x, samples.y):
            digest.update(f"{part} {values.dtype.str} {values.shape}\n".encode())
            digest.update(np.ascontiguousarray(values).data)
    return f"given:{digest.hexdigest()[:12]}"
