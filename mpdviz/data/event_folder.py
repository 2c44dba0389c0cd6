"""`events:DIR`: event recordings of the user's own, a folder a class."""

from pathlib import Path

import torch

from mpdviz.data.base import Dataset, Split
from mpdviz.data.formats.class_folders import classes_of, place_of
from mpdviz.data.formats.events import Camera, frames, wanted
from mpdviz.data.formats.recordings import READERS, Events, sensor_of
from mpdviz.errors import BadInput

PREFIX = "events:"
AGAIN = "copy it again, or leave it out"


def load(name: str, timesteps: int | None) -> Dataset:
    """The recordings of `events:DIR`, `events:DIR:size=64` or `events:DIR:sensor=128:size=64`.

    See `class_folders` for the folders and `recordings` for the formats, `.aedat4`, `.npy` and `.bin`.
    AEDAT 4 states the size of its sensor; the others need `sensor`, the side of theirs. Every recording
    becomes T frames of equally many events, kept in DIR (see `events`). Nothing is augmented.

    Args:
        name: the folder and its options; `size` is the side of the frames, of which each pixel adds up those
            of the sensor that fall on it. Without it they are as large as the sensor, which is made square.
        timesteps: frames T a sample; None means 10.

    Returns:
        Frames `[N, T, 2, size, size]`, OFF before ON, used as they are; classes in the order of the alphabet.

    Raises:
        BadInput: no folders of recordings, one that is damaged or of another sensor, or no `sensor` given.
    """
    timesteps = wanted(name, timesteps)
    folder, options = place_of(name, PREFIX, ("sensor", "size"))
    found = classes_of(folder, tuple(READERS), "recordings")
    sensors = {path: _sensor(path, options.get("sensor"), name) for path in found.paths}
    width, height = sensors[found.paths[0]]
    for path, (other_width, other_height) in sensors.items():
        if (other_width, other_height) != (width, height):
            sizes = f"{other_width} x {other_height} pixels, and {width} x {height} of {found.paths[0]}"
            raise BadInput(f"{path} is of {sizes}", "keep recordings of different sensors apart")
    side = options.get("size", max(width, height))
    if side > max(width, height):
        raise BadInput(
            f"data {name!r}: frames are no larger than the sensor", f"ask for {max(width, height)}"
        )
    x = torch.from_numpy(frames(found.paths, folder, timesteps, Camera(_read, width, height, side, AGAIN)))
    y = torch.tensor(found.labels)
    train, val, test = (Split(x[part], y[part]) for part in found.parts)
    return Dataset(name, train, val, test, classes=len(found.names), frames=True)


def _read(path: Path, again: str) -> Events:
    return READERS[path.suffix.lower()](path, again)


def _sensor(path: Path, given: int | None, name: str) -> tuple[int, int]:
    """Width and height of a recording's sensor."""
    if given is not None:
        return given, given
    if path.suffix.lower() != ".aedat4":
        raise BadInput(
            f"{path} does not say how large its sensor is", f"give its side, e.g. {name}:sensor=128"
        )
    return sensor_of(path, AGAIN)
