"""`shd`: the Spiking Heidelberg Digits, spoken digits as spikes of a model ear (Cramer et al. 2020)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mpdviz.data.base import Dataset, NamedData, Split
from mpdviz.data.formats.events import folder_with, in_smallest, kept, wanted, with_validation
from mpdviz.errors import BadInput
from mpdviz.system.reading import opened

UNITS = 700
CLASSES = 20  # ten digits in German and in English
WINDOW = 1.4  # seconds that every recording fits into, whatever its length
AT_ONCE = 500  # recordings read into memory together
REMEDY = "give as data_dir the folder with shd_train.h5 and shd_test.h5, unpacked, from zenkelab.org/datasets"


@dataclass(frozen=True)
class Shd:
    """The data set, as published."""

    recordings: tuple[tuple[str, int], tuple[str, int]] = (("shd_train.h5", 8156), ("shd_test.h5", 2264))
    """Files, and how many each holds."""


def load(kind: Shd, data_dir: Path | None, timesteps: int | None) -> Dataset:
    """8,156 training and validation and 2,264 test recordings as counts of spikes in T equal parts of 1.4 s.

    A tenth of every class of the official training recordings is for validation. Nothing is augmented.

    Args:
        kind: what to expect.
        data_dir: the folder of the files, or the one that holds it as SHD, as tonic does.
        timesteps: time bins T a sample; None means 10.

    Returns:
        Sequences `[N, T, 700]` of counts, used as they are; 20 classes.

    Raises:
        BadInput: a file is missing, damaged or another one, or h5py is not installed.
    """
    timesteps = wanted("shd", timesteps)
    folder = folder_with("shd", data_dir, ("SHD",), kind.recordings[0][0], REMEDY)
    paths = [folder / name for name, _ in kind.recordings]
    labels = [_labels(path, count) for path, (_, count) in zip(paths, kind.recordings, strict=True)]
    counts = [len(y) for y in labels]

    def binned() -> Iterator[np.ndarray]:
        for path, count in zip(paths, counts, strict=True):
            for times, units in _spikes(path, count):
                yield in_smallest(_counts(times, units, timesteps, path))

    shape = (sum(counts), timesteps, UNITS)
    x = torch.from_numpy(kept(folder / f"frames-{timesteps}.npz", paths, f"{WINDOW} s", shape, binned))
    whole, test = (Split(some, y) for some, y in zip(x.split(counts), labels, strict=True))
    return with_validation("shd", whole, test, CLASSES)


NAMED = NamedData(
    "10,420 spoken digits as spikes of 700 channels; 20 classes; needs data_dir",
    lambda timesteps, data_dir: load(Shd(), data_dir, timesteps),
)


def _labels(path: Path, expected: int) -> torch.Tensor:
    labels = np.asarray(_read(path, lambda file: file["labels"][:]))
    if labels.shape != (expected,) or labels.dtype.kind not in "iu":
        problem = f"{path}: expected {expected} labels, found {labels.dtype} {list(labels.shape)}"
        raise BadInput(problem, REMEDY)
    if labels.min() < 0 or labels.max() >= CLASSES:
        wrong = labels.max() if labels.max() >= CLASSES else labels.min()
        raise BadInput(f"{path}: label {wrong} found, expected 0 to {CLASSES - 1}", REMEDY)
    return torch.from_numpy(labels.astype(np.int64))


def _spikes(path: Path, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times in seconds and units of the spikes of every recording."""
    lists = ("spikes/times", "spikes/units")
    found = _read(path, lambda file: [len(file[name]) for name in lists])
    if found != [count, count]:
        raise BadInput(f"{path}: {count} labels, {found[0]} lists of times, {found[1]} of units", REMEDY)
    for start in range(0, count, AT_ONCE):
        some = slice(start, start + AT_ONCE)
        yield from zip(
            *_read(path, lambda file, some=some: [file[name][some] for name in lists]), strict=True
        )


def _counts(times: np.ndarray, units: np.ndarray, timesteps: int, path: Path) -> np.ndarray:
    # Stored in half precision, whose steps are a millisecond at the end of a recording.
    when, unit = np.asarray(times, np.float64), np.asarray(units, np.int64)
    if when.shape != unit.shape or when.ndim != 1:
        raise BadInput(f"{path}: a recording of {when.size} times and {unit.size} units", REMEDY)
    inside = (when >= 0) & (when < WINDOW) & (unit >= 0) & (unit < UNITS)
    if not inside.all():
        problem = f"{path} holds spikes outside 0 to {WINDOW} s or units 0 to {UNITS - 1}"
        raise BadInput(problem, REMEDY)
    place = np.floor(when * timesteps / WINDOW).astype(np.int64) * UNITS + unit
    return np.bincount(place, minlength=timesteps * UNITS).reshape(timesteps, UNITS)


def _read(path: Path, take: Any) -> Any:
    try:
        import h5py
    except ImportError:
        raise BadInput("shd needs h5py, which is not installed", "pip install 'mpdviz[events]'") from None
    with opened(path, "data") as file:
        try:
            with h5py.File(file, "r") as content:
                return take(content)
        except Exception as error:  # HDF5 answers damage with exceptions of many kinds
            raise BadInput(f"cannot read {path}: {str(error)[:200]}", REMEDY) from None
