"""`n-mnist`: the MNIST digits before an event camera that moves in three saccades (Orchard et al. 2015)."""

from dataclasses import dataclass
from pathlib import Path

import torch

from mpdviz.data.base import Dataset, NamedData, Split
from mpdviz.data.formats.events import Camera, folder_with, frames, wanted, with_validation
from mpdviz.data.formats.recordings import read_bin
from mpdviz.errors import BadInput

SIDE = 34  # pixels
CLASSES = 10
REMEDY = "give as data_dir the folder with Train/0/*.bin, ... and Test/0/*.bin, ... of N-MNIST, unpacked"


@dataclass(frozen=True)
class NMnist:
    """The data set, as published."""

    recordings: tuple[tuple[str, int], tuple[str, int]] = (("Train", 60_000), ("Test", 10_000))
    """Folders, and how many each holds."""


def load(kind: NMnist, data_dir: Path | None, timesteps: int | None) -> Dataset:
    """54,000 training, 6,000 validation and 10,000 test recordings as frames of equally many events.

    The validation recordings are a tenth of every class of the official training ones. Nothing is augmented.

    Args:
        kind: what to expect.
        data_dir: the folder of Train and Test, or the one that holds it as NMNIST, as tonic does.
        timesteps: frames T a sample; None means 10.

    Returns:
        Frames `[N, T, 2, 34, 34]`, OFF before ON (see `events.frames`), used as they are.

    Raises:
        BadInput: no folder, recordings are missing or damaged, or tonic is not installed.
    """
    timesteps = wanted("n-mnist", timesteps)
    folder = folder_with("n-mnist", data_dir, ("NMNIST",), kind.recordings[0][0], REMEDY)
    parts = [
        [
            (path, label)
            for label in range(CLASSES)
            for path in sorted((folder / part / str(label)).glob("*.bin"))
        ]
        for part, _ in kind.recordings
    ]
    for (part, expected), found in zip(kind.recordings, parts, strict=True):
        if len(found) != expected:
            raise BadInput(f"{folder / part}: expected {expected} recordings, found {len(found)}", REMEDY)
    camera = Camera(read_bin, SIDE, SIDE, SIDE, "unpack it again from the archive")
    x = torch.from_numpy(frames([path for part in parts for path, _ in part], folder, timesteps, camera))
    whole, test = (
        Split(some, torch.tensor([label for _, label in part]))
        for some, part in zip(x.split([len(part) for part in parts]), parts, strict=True)
    )
    return with_validation("n-mnist", whole, test, CLASSES)


NAMED = NamedData(
    "70,000 event recordings of the MNIST digits, 34x34; 10 classes; needs data_dir",
    lambda timesteps, data_dir: load(NMnist(), data_dir, timesteps),
)
