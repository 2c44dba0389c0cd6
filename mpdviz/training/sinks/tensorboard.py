"""A run in TensorBoard: loss and accuracy, each layer's available ratio and width, and its potentials.

Tags, so that TensorBoard groups what belongs together:

loss/train, loss/val, accuracy/train, accuracy/val, lr, seconds    after every epoch
available_ratio/1 encode.0, kappa/1 encode.0                       mean over the timesteps of a layer
available_ratio by timestep/1 encode.0/t=1, kappa by timestep/...  each timestep
potentials/1 encode.0                                              histogram; the threshold lies at 1
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.accumulations.histogram import EDGES, bins
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.errors import BadInput

EPOCH = {
    "train_loss": "loss/train",
    "val_loss": "loss/val",
    "train_accuracy": "accuracy/train",
    "val_accuracy": "accuracy/val",
    "lr": "lr",
    "seconds": "seconds",
}
"""Columns of `metrics.csv` and their tags."""


class TensorBoard:
    """Event files of one run."""

    def __init__(self, folder: Path, done: int) -> None:
        """Open a new event file in `folder`, for what comes after `done` training steps.

        TensorBoard drops what an earlier, interrupted process wrote of later steps.

        Raises:
            BadInput: tensorboard is not installed.
        """
        require()
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def epoch(self, row: Mapping[str, Any], step: int) -> None:
        """Add a row of `metrics.csv`, reached after `step` training steps."""
        for column, tag in EPOCH.items():
            self._add(tag, row[column], step)
        self._writer.flush()

    def recorded(self, table: pd.DataFrame, layers: Mapping[int, LayerAccumulation], step: int) -> None:
        """Add what was recorded after `step` training steps.

        Args:
            table: the main table (`metrics.main_columns`) of `layers`.
            layers: the recording, by layer number.
            step: training steps so far.
        """
        for number, layer in layers.items():
            rows, title = table[table["layer"] == number], f"{number} {layer.info.name}"
            for column in ("available_ratio", "kappa"):
                self._add(f"{column}/{title}", rows[column].mean(), step)
                for t, value in zip(rows["timestep"], rows[column], strict=True):
                    self._add(f"{column} by timestep/{title}/t={t}", value, step)
            self._histogram(f"potentials/{title}", layer, step)
        self._writer.flush()

    def close(self) -> None:
        """Finish the event file."""
        self._writer.close()

    def _add(self, tag: str, value: float, step: int) -> None:
        self._writer.add_scalar(tag, float(value), step)

    def _histogram(self, tag: str, layer: LayerAccumulation, step: int) -> None:
        """The recording's own integer counts over all timesteps, in units of the neurons' threshold.

        Where a strategy moves the threshold, the potentials are shifted along, so that it lies at 1.
        """
        statistics, v_th = layer.statistics, layer.info.v_th
        finite, shifts = statistics.finite, layer.info.shifts
        if not finite.sum():
            return
        low, high = (
            float(extreme / v_th)
            for extreme in ((statistics.min - shifts).min(), (statistics.max - shifts).max())
        )
        mean = (statistics.mean - shifts) / v_th
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
            sum_squares=float((statistics.m2 / v_th**2 + finite * mean**2).sum()),
            bucket_limits=ends[kept].tolist(),
            bucket_counts=counts[kept].tolist(),
            global_step=step,
        )


def require() -> None:
    """Look for the package.

    Raises:
        BadInput: tensorboard is not installed.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise BadInput(
            "--log tensorboard needs the package tensorboard", "pip install 'mpdviz[tensorboard]'"
        ) from None
