"""Named data sets. A new one is a file here and a line in the registry."""

from pathlib import Path
from typing import Any

from mpdviz.data import event_folder, image_folder, npz
from mpdviz.data.base import SPLITS, Dataset, NamedData, Split, batches
from mpdviz.errors import BadInput, unknown_name
from mpdviz.registry import Registry

__all__ = [
    "DATA",
    "GIVEN",
    "SPLITS",
    "Dataset",
    "NamedData",
    "Split",
    "batches",
    "describe",
    "load",
    "obtain",
]

DATA: Registry[NamedData] = Registry(
    "data set",
    "mpdviz.data",
    {
        "digits": "mpdviz.data.digits:NAMED",
        "digits-dvs": "mpdviz.data.digits_dvs:NAMED",
        "mnist": "mpdviz.data.mnist:NAMED",
        "fashion-mnist": "mpdviz.data.fashion_mnist:NAMED",
        "cifar10": "mpdviz.data.cifar10:NAMED",
        "cifar100": "mpdviz.data.cifar100:NAMED",
        "tiny-imagenet": "mpdviz.data.tiny_imagenet:NAMED",
        "cifar10-dvs": "mpdviz.data.cifar10_dvs:NAMED",
        "n-mnist": "mpdviz.data.n_mnist:NAMED",
        "dvs-gesture": "mpdviz.data.dvs_gesture:NAMED",
        "shd": "mpdviz.data.shd:NAMED",
    },
    NamedData,
)

GIVEN = "given:"
"""What stands before the hash of data that were handed over in Python."""
_FILE = "npz:"
_OWN = {
    f"{_FILE}FILE": (
        "your own arrays x, vectors [N, F], sequences [N, T, F], images [N, C, H, W] or frames "
        "[N, T, C, H, W], and y [N]; more for --model"
    ),
    f"{image_folder.PREFIX}DIR": "your own pictures, a folder a class; folder:DIR:size=64 resizes them",
    f"{event_folder.PREFIX}DIR": "your own event recordings (.aedat4, .npy, .bin), a folder a class",
}


def describe() -> dict[str, str]:
    """What each name that `load` takes stands for, in one line."""
    return {name: named.description for name, named in DATA.items()} | _OWN


def load(
    name: str, *, timesteps: int | None = None, data_dir: Path | None = None, as_it_is: bool = False
) -> Dataset:
    """Load a data set into memory.

    Args:
        name: one of `describe()`.
        timesteps: frames T wanted of event data; of no concern to static images, which the network repeats.
        data_dir: folder of the files, for data sets that are read from files; None downloads them, once,
            where they can be downloaded.
        as_it_is: take an `npz:FILE` with samples of any shape and any targets, or none; otherwise it must
            hold square images or frames, sequences or vectors, and class labels.

    Returns:
        The data set; its splits are the same at every call.

    Raises:
        BadInput: for an unknown name, files that are missing or damaged, or timesteps that cannot be had.
    """
    if name.startswith(_FILE):
        return npz.load(Path(name.removeprefix(_FILE)), timesteps, as_it_is=as_it_is)
    if name.startswith(image_folder.PREFIX):
        return image_folder.load(name)
    if name.startswith(event_folder.PREFIX):
        return event_folder.load(name, timesteps)
    if name.startswith(GIVEN):
        raise BadInput(f"data {name} were handed over in Python", "hand them over again, as `data`")
    if name not in DATA:
        raise unknown_name(DATA.kind, name, [*DATA, *_OWN])
    return DATA[name].load(timesteps, data_dir)


def obtain(
    data: Any, *, timesteps: int | None = None, data_dir: Path | None = None, as_it_is: bool = False
) -> Dataset:
    """A data set by its name, or from data themselves.

    Args:
        data: one of `describe()`, or whatever `given.dataset_of` takes.
        timesteps: see `load`, like the others, which data themselves have no use for.
        data_dir: see `load`.
        as_it_is: see `load`.

    Raises:
        BadInput: see `load` and `given.dataset_of`.
    """
    if isinstance(data, str):
        return load(data, timesteps=timesteps, data_dir=data_dir, as_it_is=as_it_is)
    from mpdviz.data.given import dataset_of

    return dataset_of(data, timesteps=timesteps)
