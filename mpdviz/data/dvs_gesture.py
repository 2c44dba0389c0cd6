"""`dvs-gesture`: people's gestures before an event camera (Amir et al. 2017), one recording a gesture."""

import re
from pathlib import Path

import torch

from mpdviz.data.base import Dataset, NamedData, Split
from mpdviz.data.formats.events import Camera, folder_with, frames, wanted, with_validation
from mpdviz.data.formats.recordings import read_npy
from mpdviz.errors import BadInput

SENSOR, SIDE = 128, 64  # pixels; a frame adds up 2 x 2 of them
CLASSES = 11
PARTS = ("ibmGestureTrain", "ibmGestureTest")
REMEDY = (
    "give as data_dir the folder with ibmGestureTrain/user01_led/0.npy, ... and ibmGestureTest, as "
    "tonic.datasets.DVSGesture unpacks them"
)


def load(data_dir: Path | None, timesteps: int | None) -> Dataset:
    """DVS128 Gesture as frames of equally many events.

    The test recordings are the official ones, of other people; a tenth of every class of the others is for
    validation. Nothing is augmented: a mirrored right hand is a left one, and another class.

    Args:
        data_dir: the folder of ibmGestureTrain and ibmGestureTest, or the one that holds it as DVSGesture, as
            tonic does: recordings that are cut into gestures, `USER_LIGHT/LABEL.npy`.
        timesteps: frames T a sample; None means 10.

    Returns:
        Frames `[N, T, 2, 64, 64]`, OFF before ON (see `events.frames`), used as they are; 11 classes.

    Raises:
        BadInput: no folder, a class without recordings, or a recording that is damaged or of no class.
    """
    timesteps = wanted("dvs-gesture", timesteps)
    folder = folder_with("dvs-gesture", data_dir, ("DVSGesture",), PARTS[0], REMEDY)
    parts = [_recordings(folder / part) for part in PARTS]
    camera = Camera(read_npy, SENSOR, SENSOR, SIDE, "unpack it again from the archive")
    x = torch.from_numpy(frames([path for part in parts for path, _ in part], folder, timesteps, camera))
    whole, test = (
        Split(some, torch.tensor([label for _, label in part]))
        for some, part in zip(x.split([len(part) for part in parts]), parts, strict=True)
    )
    return with_validation("dvs-gesture", whole, test, CLASSES)


NAMED = NamedData(
    "event recordings of gestures, 64x64; 11 classes; needs data_dir",
    lambda timesteps, data_dir: load(data_dir, timesteps),
)


def _recordings(folder: Path) -> list[tuple[Path, int]]:
    """The recordings of a part and their labels, in the order of their names."""
    found = []
    for path in sorted(folder.glob("*/*.npy")):
        if not re.fullmatch(r"\d{1,3}", path.stem) or int(path.stem) >= CLASSES:
            raise BadInput(f"{path}: label {path.stem} found, expected 0 to {CLASSES - 1}", REMEDY)
        found.append((path, int(path.stem)))
    if missing := set(range(CLASSES)).difference(label for _, label in found):
        raise BadInput(f"{folder} holds no recording of gesture {min(missing)}", REMEDY)
    return found
