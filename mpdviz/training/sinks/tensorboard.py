"""A run in TensorBoard: loss and accuracy, each layer's available ratio and width, and its potentials.

Tags, so that TensorBoard groups what belongs together:

loss/train, loss/train penalty, loss/val, accuracy/train, accuracy/val, lr, seconds    after every epoch
available_ratio/1 encode.0, kappa/1 encode.0                       mean over the timesteps of a layer
available_ratio by timestep/1 encode.0/t=1, kappa by timestep/...  each timestep
potentials/1 encode.0                                              histogram; the threshold lies at 1
"""

import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from typing_extensions import override

from mpdviz.accumulations.histogram import EDGES, bins
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position
from mpdviz.training.sinks.base import Recorded, Sink

WRITER = "_AsyncWriterThread"
"""TensorBoard's, which writes in the background."""
EPOCH = {
    "train_loss": "loss/train",
    "train_penalty": "loss/train penalty",
    "val_loss": "loss/val",
    "train_accuracy": "accuracy/train",
    "val_accuracy": "accuracy/val",
    "lr": "lr",
    "seconds": "seconds",
}
"""Columns of `metrics.csv` and their tags."""


class TensorBoard(Sink):
    """Event files of one run."""

    @override
    @classmethod
    def require(cls) -> None:
        try:
            import tensorboard  # noqa: F401
        except ImportError:
            problem = "`log` tensorboard needs the package tensorboard"
            raise BadInput(problem, "pip install 'mpdviz[tensorboard]'") from None

    def __init__(self, folder: RunFolder, position: Position, done: int) -> None:
        """Open a new event file; TensorBoard drops what an interrupted process wrote of later steps."""
        from torch.utils.tensorboard import SummaryWriter

        self._full = False
        self._writer: Any = None
        _hush_writers()
        with self._room():
            self._writer = SummaryWriter(str(folder.tensorboard), purge_step=done + 1 if done else None)

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Stop logging, and say so once, where there is no room for it; the run goes on."""
        try:
            yield
        except OSError as error:
            if not self._full:
                warnings.warn(
                    f"logging to TensorBoard has stopped: {error.strerror or error}; the run goes on",
                    MpdvizWarning,
                    stacklevel=2,
                )
            self._full = True

    @override
    def epoch(self, row: Mapping[str, Any], widths: Sequence[Mapping[str, Any]], step: int) -> None:
        if self._full:
            return
        with self._room():
            for column, tag in EPOCH.items():
                if column in row:  # a penalty has only a run that is regularised
                    self._add(tag, row[column], step)

    @override
    def recorded(self, recorded: Recorded, step: int) -> None:
        if self._full:
            return
        with self._room():
            table = recorded.table
            for number, layer in recorded.layers.items():
                rows, title = table[table["layer"] == number], f"{number} {layer.info.name}"
                for column in ("available_ratio", "kappa"):
                    self._add(f"{column}/{title}", rows[column].mean(), step)
                    for t, value in zip(rows["timestep"], rows[column], strict=True):
                        self._add(f"{column} by timestep/{title}/t={t}", value, step)
                self._histogram(f"potentials/{title}", layer, step)
            self._writer.flush()

    @override
    def flush(self) -> None:
        if not self._full:
            with self._room():
                self._writer.flush()

    @override
    def close(self) -> None:
        if self._writer is not None:
            with self._room():
                self._writer.close()

    def _add(self, tag: str, value: float, step: int) -> None:
        self._writer.add_scalar(tag, float(value), step)

    def _histogram(self, tag: str, layer: LayerAccumulation, step: int) -> None:
        """The recording's own integer counts over all timesteps, in the histogram's unit (the threshold).

        Where a strategy moves the threshold, the potentials are shifted along, so that it lies at 1.
        """
        statistics, unit = layer.statistics, layer.info.unit
        finite, shifts = statistics.finite, layer.info.shifts
        if not finite.sum():
            return
        low, high = (
            float(extreme / unit)
            for extreme in ((statistics.min - shifts).min(), (statistics.max - shifts).max())
        )
        mean = (statistics.mean - shifts) / unit
        cells = statistics.cells
        counts = np.concatenate([cells[:, :1], bins(cells), cells[:, -2:].sum(1, keepdims=True)], 1).sum(0)
        # The bin over the last edge has no end but the largest potential.
        ends = np.append(EDGES, max(high, EDGES[-1]))
        filled = np.flatnonzero(counts)
        kept = slice(filled[0], filled[-1] + 1)
        self._writer.add_histogram_raw(
            tag,
            min=low,
            max=high,
            num=int(finite.sum()),
            sum=float((finite * mean).sum()),
            sum_squares=float((statistics.m2 / unit**2 + finite * mean**2).sum()),
            bucket_limits=ends[kept].tolist(),
            bucket_counts=counts[kept].tolist(),
            global_step=step,
        )


def _hush_writers() -> None:
    """Let nothing be printed of what fails in TensorBoard's thread: it is raised where is written, too."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if type(args.thread).__name__ != WRITER:
            before(args)

    threading.excepthook = hook
