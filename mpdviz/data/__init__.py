"""Named data sets. A new one is a file here and a line in the registry."""

from pathlib import Path

from mpdviz.data import npz
from mpdviz.data.base import SPLITS, Dataset, NamedData, Split, batches
from mpdviz.errors import unknown_name
from mpdviz.registry import Registry

__all__ = ["DATA", "SPLITS", "Dataset", "NamedData", "Split", "batches", "describe", "load"]

DATA: Registry[NamedData] = Registry(
    "data set",
    "mpdviz.data",
    {
        "digits": "mpdviz.data.digits:NAMED",
        "digits-dvs": "mpdviz.data.digits_dvs:NAMED",
        "cifar10": "mpdviz.data.cifar10:NAMED",
        "cifar100": "mpdviz.data.cifar100:NAMED",
        "cifar10-dvs": "mpdviz.data.cifar10_dvs:NAMED",
    },
    NamedData,
)

_FILE = "npz:"


def describe() -> dict[str, str]:
    """What each name that `load` takes stands for, in one line."""
    described = {name: named.description for name, named in DATA.items()}
    return described | {
        f"{_FILE}FILE": "your own arrays x [N, C, H, W] or [N, T, C, H, W] and y [N]; for --model any"
    }


def load(
    name: str, *, timesteps: int | None = None, data_dir: Path | None = None, as_it_is: bool = False
) -> Dataset:
    """Load a data set into memory.

    Args:
        name: one of `describe()`.
        timesteps: frames T wanted of event data; of no concern to static images, which the network repeats.
        data_dir: folder of the files, for data sets that are read from files; None downloads them, once.
        as_it_is: take an `npz:FILE` with samples of any rank and any targets, or none; otherwise it must hold
            what the networks of this package take: square images or frames, and class labels.

    Returns:
        The data set; its splits are the same at every call.

    Raises:
        BadInput: for an unknown name, files that are missing or damaged, or timesteps that cannot be had.
    """
    if name.startswith(_FILE):
        path = Path(name.removeprefix(_FILE))
        return npz.load_as_it_is(path) if as_it_is else npz.load(path, timesteps)
    if name not in DATA:
        raise unknown_name(DATA.kind, name, [*DATA, f"{_FILE}FILE"])
    return DATA[name].load(timesteps, data_dir)
