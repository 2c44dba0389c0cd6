"""Named data sets. A new one is a file here and a line in the registry."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mpdviz.data import cifar, cifar10_dvs, digits, digits_dvs, npz
from mpdviz.data.base import SPLITS, Dataset, Split, batches
from mpdviz.data.cifar10 import CIFAR10
from mpdviz.data.cifar100 import CIFAR100
from mpdviz.errors import unknown_name

__all__ = ["SPLITS", "Dataset", "Split", "batches", "describe", "load", "names"]

_FILE = "npz:"


class _Wish(NamedTuple):
    """What the caller of `load` may ask for; each data set takes what concerns it."""

    timesteps: int | None
    data_dir: Path | None


class _Entry(NamedTuple):
    load: Callable[[_Wish], Dataset]
    description: str


_REGISTRY = {
    "digits": _Entry(lambda _: digits.load(), "1797 handwritten digits, 8x8, built in; 10 classes"),
    "digits-dvs": _Entry(
        lambda wish: digits_dvs.load(wish.timesteps),
        "the same digits as 16x16 ON/OFF event frames of a saccade",
    ),
    "cifar10": _Entry(
        lambda wish: cifar.load(CIFAR10, wish.data_dir), "60,000 colour photographs, 32x32; 10 classes"
    ),
    "cifar100": _Entry(
        lambda wish: cifar.load(CIFAR100, wish.data_dir), "60,000 colour photographs, 32x32; 100 classes"
    ),
    "cifar10-dvs": _Entry(
        lambda wish: cifar10_dvs.load(wish.data_dir, wish.timesteps),
        "10,000 recordings of an event camera, as frames or event files; needs data_dir",
    ),
}


def names() -> list[str]:
    """The names of the registered data sets; `npz:FILE` works besides."""
    return list(_REGISTRY)


def describe() -> dict[str, str]:
    """What each name that `load` takes stands for, in one line."""
    described = {name: entry.description for name, entry in _REGISTRY.items()}
    return described | {f"{_FILE}FILE": "your own arrays x [N, C, H, W] or [N, T, C, H, W] and y [N]"}


def load(name: str, *, timesteps: int | None = None, data_dir: Path | None = None) -> Dataset:
    """Load a data set into memory.

    Args:
        name: one of `names()`, or `npz:FILE`.
        timesteps: frames T wanted of event data; of no concern to static images, which the network repeats.
        data_dir: folder of the files, for data sets that are read from files; None downloads them, once.

    Returns:
        The data set; its splits are the same at every call.

    Raises:
        BadInput: for an unknown name, files that are missing or damaged, or timesteps that cannot be had.
    """
    if name.startswith(_FILE):
        return npz.load(Path(name.removeprefix(_FILE)), timesteps)
    if name not in _REGISTRY:
        raise unknown_name("data set", name, describe())
    return _REGISTRY[name].load(_Wish(timesteps, data_dir))
