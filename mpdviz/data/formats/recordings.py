"""Recordings of event cameras, read one by one: AEDAT4 and N-MNIST's .bin by tonic, .npy by NumPy."""

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from mpdviz.errors import BadInput
from mpdviz.system.reading import opened, read_bytes

BIN_EVENT = 5
"""Bytes of an event in N-MNIST's format."""


class Events(NamedTuple):
    """The events of a recording, in its order, a number each."""

    x: np.ndarray
    """Column of the pixel, from 0."""
    y: np.ndarray
    """Row of the pixel, from 0."""
    on: np.ndarray
    """1 where it got brighter (ON), 0 where darker (OFF)."""


def read_aedat4(path: Path, again: str) -> Events:
    """A recording in inivation's AEDAT 4, of its first stream of events.

    Args:
        path: the file.
        again: what to do about one that is damaged.

    Raises:
        BadInput: damaged, or tonic or aedat is not installed.
    """
    tonic = _tonic("aedat")
    with opened(path, "recording"):  # a regular file
        pass
    events = _decoded(path, again, lambda: tonic.io.read_aedat4(str(path)))
    _, x, y, on = (events[name] for name in events.dtype.names)
    return Events(x, y, on)


def sensor_of(path: Path, again: str) -> tuple[int, int]:
    """Width and height in pixels that an AEDAT 4 recording states; raises like `read_aedat4`."""
    _tonic("aedat")
    import aedat

    with opened(path, "recording"):
        pass
    streams = _decoded(path, again, lambda: aedat.Decoder(str(path)).id_to_stream())
    of_events = [streams[number] for number in sorted(streams) if streams[number]["type"] == "events"]
    if not of_events:
        raise BadInput(f"{path} holds no events", again)
    return int(of_events[0]["width"]), int(of_events[0]["height"])


def read_bin(path: Path, again: str) -> Events:
    """A recording in the format of N-MNIST and N-Caltech101 (Orchard et al. 2015); see `read_aedat4`."""
    tonic = _tonic()
    content = read_bytes(path, "recording")
    if len(content) % BIN_EVENT:
        raise BadInput(f"{path} is cut short: {len(content)} bytes are no events of {BIN_EVENT} each", again)
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    events = _decoded(
        path, again, lambda: tonic.io.read_mnist_file(io.BytesIO(content), dtype=dtype, is_stream=True)
    )
    return Events(events["x"], events["y"], events["p"])


def read_npy(path: Path, again: str) -> Events:
    """A NumPy file: columns x, y, polarity, time `[N, 4]`, or an array of events with fields `x`, `y`, `p`.

    Both are what tonic leaves; see `read_aedat4`. Nothing is unpickled.
    """
    content = read_bytes(path, "recording")
    array = _decoded(path, again, lambda: np.load(io.BytesIO(content), allow_pickle=False))
    fields = getattr(array, "dtype", np.dtype(float)).names
    if fields is not None and {"x", "y", "p"} <= set(fields) and array.ndim == 1:
        columns = [array["x"], array["y"], array["p"]]
    elif (
        isinstance(array, np.ndarray)
        and array.ndim == 2
        and array.shape[1] == 4
        and array.dtype.kind in "iuf"
    ):
        columns = [array[:, 0], array[:, 1], array[:, 2]]
    else:
        raise BadInput(
            f"{path} holds no columns x, y, polarity and time [N, 4], or fields of these names", again
        )
    x, y, p = columns
    if not all(np.isfinite(values).all() for values in columns) or (x < 0).any() or (y < 0).any():
        raise BadInput(f"{path} holds events that are at no pixel", again)
    return Events(x.astype(np.int64), y.astype(np.int64), (p > 0).astype(np.int64))


READERS: dict[str, Callable[[Path, str], Events]] = {
    ".aedat4": read_aedat4,
    ".npy": read_npy,
    ".bin": read_bin,
}
"""By what a file's name ends in."""


def _decoded(path: Path, again: str, decode: Callable[[], Any]) -> Any:
    try:
        return decode()
    except Exception as error:  # the decoders answer damage with exceptions of many kinds
        raise BadInput(f"cannot read {path}: {str(error)[:200]}", again) from None


def _tonic(*besides: str) -> ModuleType:
    """The package tonic, once sure that it and what it imports when it reads are installed."""
    from importlib import import_module

    try:
        for name in (*besides, "tonic.io"):
            import_module(name)
    except ImportError as error:
        problem = f"event files need {error.name}, which is not installed"
        raise BadInput(problem, "pip install 'mpdviz[events]'") from None
    return import_module("tonic")
