"""CIFAR10-DVS as events: AEDAT4 recordings in one folder a class, binned into frames kept beside them."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mpdviz.data.base import Split
from mpdviz.data.dvs_frames import SIZE, resized
from mpdviz.data.formats.events import Camera, bin_events, kept
from mpdviz.data.formats.recordings import read_aedat4
from mpdviz.errors import BadInput

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Folders of the classes, in the order of their labels."""
SENSOR = 128  # pixels
TRAINED = 0.9
"""The leading share of every class that is for training; the field tests on the last 100 of 1,000."""
AGAIN = "unpack it again from the archive of its class"
CAMERA = Camera(read_aedat4, SENSOR, SENSOR, SENSOR, AGAIN)


def folder_of(data_dir: Path) -> Path | None:
    """The folder that holds the classes: `data_dir` itself, or CIFAR10DVS in it as tonic unpacks it."""
    for folder in (data_dir, data_dir / "CIFAR10DVS"):
        if any((folder / name).is_dir() for name in NAMES):
            return folder
    return None


def read(folder: Path, timesteps: int) -> tuple[Split, Split]:
    """Every recording binned into T frames of equally many events, OFF before ON.

    What is left over when the events do not divide by T is dropped, from the end.

    Args:
        folder: holds a folder of `.aedat4` files for every class.
        timesteps: T.

    Returns:
        Training and test: of each class the first 90 % in the order of the numbers in their names, and the
        rest. Frames `[N, T, 2, 48, 48]` in half precision (see `dvs_frames.resized`), and labels `[N]`.

    Raises:
        BadInput: tonic or aedat is not installed, a class has fewer than 10 recordings, or a recording cannot
            be read.
    """
    paths = [_recordings(folder / name) for name in NAMES]
    x = _frames([path for one in paths for path in one], folder, timesteps)
    y = torch.tensor([label for label, one in enumerate(paths) for _ in one])
    for_training = torch.tensor([i < int(TRAINED * len(one)) for one in paths for i in range(len(one))])
    return Split(x[for_training], y[for_training]), Split(x[~for_training], y[~for_training])


def _recordings(folder: Path) -> list[Path]:
    def numbers(path: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", path.stem)]

    paths = sorted(folder.glob("*.aedat4"), key=lambda path: (numbers(path), path.name))
    if len(paths) < 10:
        raise BadInput(
            f"{folder} holds {len(paths)} recordings (*.aedat4), at least 10 are needed",
            f"unpack {folder.name}.zip of CIFAR10-DVS there",
        )
    return paths


def _frames(paths: list[Path], folder: Path, timesteps: int) -> Tensor:
    def binned() -> Iterable[np.ndarray]:
        for path in paths:
            counts = bin_events(read_aedat4(path, AGAIN), timesteps, CAMERA, path)
            yield resized(torch.from_numpy(counts).float()).numpy()

    shape = (len(paths), timesteps, 2, SIZE, SIZE)
    return torch.from_numpy(kept(folder / f"frames-{timesteps}.npz", paths, "resized", shape, binned))
