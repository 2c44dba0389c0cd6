"""Recordings of events binned into frames, which are kept beside them.

Binning ten thousand recordings takes minutes, so the frames are kept in the same folder, in `frames-T.npz`,
and read from there the next time, as long as the recordings and what is made of them are the same.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpdviz.data.base import Dataset, Split
from mpdviz.data.formats.recordings import Events
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput
from mpdviz.system.arrays import read_arrays
from mpdviz.system.files import write_atomically
from mpdviz.system.memory import require_memory
from mpdviz.system.progress import bar

TIMESTEPS = 10
"""Frames that events are binned into where the caller asks for no number."""
SPLIT_SEED = 10
AGAIN = "remove it: it is made again from the recordings"
EXACT = ((np.dtype(np.uint8), 255), (np.dtype(np.float16), 2048), (np.dtype(np.float32), 1 << 24))
"""Types, and the number up to which each holds every whole one."""


@dataclass(frozen=True)
class Camera:
    """How recordings of one kind become frames."""

    read: Callable[[Path, str], Events]
    """See `recordings`."""
    width: int
    """Pixels of the sensor, like `height`."""
    height: int
    side: int
    """Pixels of a frame, each way."""
    again: str
    """What to do about a recording that is damaged."""


def frames(paths: Sequence[Path], folder: Path, timesteps: int, camera: Camera) -> np.ndarray:
    """Every recording as T frames of equally many events, OFF before ON.

    What is left over when the events do not divide by T is dropped, from the end.

    Args:
        paths: the recordings, in `folder`.
        folder: where the frames are kept.
        timesteps: T.
        camera: of all recordings.

    Returns:
        Counts `[N, T, 2, side, side]` in the smallest type of `EXACT` that holds them.

    Raises:
        BadInput: a recording that cannot be read, holds fewer than T events or events beside the sensor.
    """
    shape = (timesteps, 2, camera.side, camera.side)
    settings = f"{camera.width} x {camera.height} to {camera.side}"

    def binned() -> Iterable[np.ndarray]:
        for path in paths:
            yield in_smallest(bin_events(camera.read(path, camera.again), timesteps, camera, path))

    return kept(folder / f"frames-{timesteps}.npz", paths, settings, (len(paths), *shape), binned)


def bin_events(events: Events, timesteps: int, camera: Camera, path: Path) -> np.ndarray:
    """Counts int64 `[T, 2, side, side]` of one recording; see `frames`.

    A sensor that is no square lies in the middle of one; a smaller frame adds up the pixels that fall
    together, so no event is lost.
    """
    x, y, on = events
    if len(x) < timesteps:
        raise BadInput(f"{path} holds {len(x)} events for {timesteps} frames", camera.again)
    if x.max() >= camera.width or y.max() >= camera.height:
        problem = f"{path} holds events outside {camera.width} x {camera.height} pixels"
        raise BadInput(problem, camera.again)
    each, square = len(x) // timesteps, max(camera.width, camera.height)
    columns, rows = (
        (np.arange(pixels) + (square - pixels) // 2) * camera.side // square
        for pixels in (camera.width, camera.height)
    )
    used = slice(0, each * timesteps)
    frame = np.repeat(np.arange(timesteps), each)
    place = ((frame * 2 + on[used]) * camera.side + rows[y[used]]) * camera.side + columns[x[used]]
    shape = (timesteps, 2, camera.side, camera.side)
    # Counted in int64: tonic's own frames are int16, which a pixel that fires all the time overflows.
    return np.bincount(place, minlength=int(np.prod(shape))).reshape(shape)


def in_smallest(counts: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 in the smallest type of `EXACT` that holds them."""
    most = counts.max()
    return counts.astype(next((kind for kind, limit in EXACT if most <= limit), np.float32))


def kept(
    file: Path,
    recordings: Sequence[Path],
    settings: str,
    shape: tuple[int, ...],
    make: Callable[[], Iterable[np.ndarray]],
) -> np.ndarray:
    """What was made of recordings, from `file` where it is there and they are the same, else made and kept.

    Args:
        file: an .npz file beside the recordings.
        recordings: the files, by whose names, sizes and times they are known.
        settings: whatever else it depends on.
        shape: of all samples `[N, ...]`.
        make: the samples one after the other, each of a type that widens the others' where it must.

    Raises:
        BadInput: too large for the memory, or as `make` says.
    """
    found = [(str(path.relative_to(file.parent)), path.stat()) for path in recordings]
    listing = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in found]
    digest = hashlib.sha256(json.dumps([settings, listing]).encode()).hexdigest()
    require_memory(
        2 * int(np.prod(shape)),
        f"{shape[0]} recordings as {' x '.join(map(str, shape[1:]))}",
        "lower `timesteps`",
    )
    # Whatever is wrong with what was kept, the recordings are still there.
    with suppress(BadInput, KeyError):
        content = read_arrays(file, "frames", AGAIN)
        before = content["x"]
        same = str(content["recordings"]) == digest and before.shape == shape
        if same and before.dtype in [kind for kind, _ in EXACT]:
            return before
    x = np.zeros(shape, np.uint8)
    with bar("binning events", len(x)) as progress:
        for i, sample in enumerate(make()):
            x = x.astype(np.promote_types(x.dtype, sample.dtype), copy=False)
            x[i] = sample
            progress.update()
    with suppress(BadInput):  # a folder that is not ours to write in: bin again next time
        write_atomically(file, lambda opened: np.savez(opened, x=x, recordings=np.array(digest)))
    return x


def with_validation(name: str, whole: Split, test: Split, classes: int) -> Dataset:
    """A data set of frames used as they are; of those for training, a tenth of every class is validation."""
    train, val, _ = stratified(whole.y, val=0.1, test=0.0, seed=SPLIT_SEED)
    return Dataset(name, whole.take(train), whole.take(val), test, classes=classes, frames=True)


def wanted(name: str, timesteps: int | None) -> int:
    """The number of frames to bin into.

    Raises:
        BadInput: fewer than 1.
    """
    if timesteps is not None and timesteps < 1:
        raise BadInput(f"{name} cannot be binned into {timesteps} frames", "ask for at least 1 timestep")
    return timesteps or TIMESTEPS


def folder_with(name: str, data_dir: Path | None, places: Sequence[str], holds: str, remedy: str) -> Path:
    """The folder that holds `holds`: `data_dir` or one of `places` in it.

    Raises:
        BadInput: none was given, or none of them holds it.
    """
    if data_dir is None:
        raise BadInput(f"{name} is read from files, and no data_dir was given", remedy)
    for folder in (data_dir, *(data_dir / place for place in places)):
        with suppress(OSError):
            if (folder / holds).exists():
                return folder
    raise BadInput(f"no {holds} in {data_dir}", remedy)
