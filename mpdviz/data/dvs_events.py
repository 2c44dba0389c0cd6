"""CIFAR10-DVS as events: AEDAT4 recordings in one folder a class, read and binned by tonic.

Binning 10,000 recordings takes minutes, so the frames are kept beside them, in `frames-T.npz`, and read from
there the next time, as long as the recordings are the same.
"""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from mpdviz.data.base import Split
from mpdviz.data.dvs_frames import SIZE, resized
from mpdviz.errors import BadInput
from mpdviz.system.arrays import read_arrays
from mpdviz.system.files import write_atomically
from mpdviz.system.progress import bar

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Folders of the classes, in the order of their labels."""
SENSOR = 128  # pixels
TRAINED = 0.9
"""The leading share of every class that is for training; the field tests on the last 100 of 1,000."""
AGAIN = "unpack it again from the archive of its class"


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
    found = [(str(path.relative_to(folder)), path.stat()) for path in paths]
    listing = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in found]
    digest = hashlib.sha256(json.dumps(listing).encode()).hexdigest()
    kept = folder / f"frames-{timesteps}.npz"
    # Whatever is wrong with the kept frames, the recordings are still there.
    with suppress(BadInput, KeyError):
        content = read_arrays(kept, "frames", AGAIN)
        before = content["x"]
        shape = (len(paths), timesteps, 2, SIZE, SIZE)
        if str(content["recordings"]) == digest and before.dtype == np.float16 and before.shape == shape:
            return torch.from_numpy(before)
    tonic = _tonic()
    with bar("binning events", len(paths)) as progress:
        frames = []
        for path in paths:
            frames.append(_binned(tonic, path, timesteps))
            progress.update()
    x = torch.stack(frames)
    with suppress(BadInput):  # a folder that is not ours to write in: bin again next time
        write_atomically(kept, lambda file: np.savez(file, x=x.numpy(), recordings=np.array(digest)))
    return x


def _tonic() -> ModuleType:
    try:
        import aedat  # noqa: F401 - tonic imports it when it reads
        import tonic
        import tonic.transforms
    except ImportError as error:
        raise BadInput(
            f"event files need {error.name}, which is not installed", "pip install 'mpdviz[events]'"
        ) from None
    module: ModuleType = tonic
    return module


def _binned(tonic: ModuleType, path: Path, timesteps: int) -> Tensor:
    try:
        events = tonic.io.read_aedat4(path)
    except Exception as error:  # the decoder answers damage with exceptions of many kinds
        raise BadInput(f"cannot read {path}: {error}", AGAIN) from None
    events.dtype.names = ("t", "x", "y", "p")
    if len(events) < timesteps:
        raise BadInput(f"{path} holds {len(events)} events for {timesteps} frames", AGAIN)
    if max(events["x"].max(), events["y"].max()) >= SENSOR:
        raise BadInput(f"{path} holds events outside {SENSOR} x {SENSOR} pixels", AGAIN)
    binned = tonic.transforms.ToFrame((SENSOR, SENSOR, 2), n_event_bins=timesteps)(events)
    return resized(torch.from_numpy(binned).float())
