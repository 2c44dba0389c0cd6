"""What happens to the potentials over training: the main table of one fixed batch, every so often.

The samples are the first of the validation split, so that rows of different epochs, and of runs on the
same data, are about the same ones. They are few: a sample is thousands of potentials, and recording is to
take no more than a twentieth of the time of training.
"""

from typing import TYPE_CHECKING

import pandas as pd
import torch

from mpdviz import data
from mpdviz.analysis import metrics
from mpdviz.data import Dataset
from mpdviz.networks.base import SpikingNetwork
from mpdviz.recording.recorder import Recorder
from mpdviz.system.files import write_text

if TYPE_CHECKING:
    from pathlib import Path


SAMPLES = 16


class Monitor:
    """The rows of a run's `mpd.csv`: epoch, step, then the columns of the main table."""

    def __init__(self, network: SpikingNetwork, dataset: Dataset) -> None:
        """Watch `network` on the first SAMPLES validation samples of `dataset`."""
        self._network, self._recorder = network, Recorder(network)
        self._x, _ = next(data.batches(dataset, "val", SAMPLES))
        self._header = ""
        self._rows: list[str] = []

    @property
    def layers(self) -> metrics.Layers:
        """The latest recording."""
        return self._recorder.layers

    @torch.no_grad()
    def record(self, epoch: int, step: int) -> pd.DataFrame:
        """Add the rows of this moment, after `step` steps of `epoch`, in evaluation mode, and return them."""
        training = self._network.training
        self._recorder.clear()
        self._recorder.attach()
        try:
            self._network.eval()(self._x)
        finally:
            self._recorder.detach()
            self._network.train(training)
        table = metrics.main_columns(self._recorder.layers)
        table.insert(0, "epoch", epoch)
        table.insert(1, "step", step)
        self._add(table)
        return table

    def write(self, path: "Path") -> None:
        """All rows so far, as CSV; nothing where there are none."""
        if self._rows:
            write_text(path, self._header + "".join(self._rows))

    def restore(self, path: "Path", epoch: int, step: int) -> None:
        """Take back the rows of `path` up to `step` steps of `epoch`, where a resumed run goes on."""
        if path.exists():
            rows = pd.read_csv(path, dtype=str, keep_default_na=False)  # text: written again as it was
            at, steps = rows["epoch"].astype(int), rows["step"].astype(int)
            known = (at < epoch) | ((at == epoch) & (steps <= step))
            self._rows.clear()
            if known.any():
                self._add(rows[known])

    def _add(self, table: pd.DataFrame) -> None:
        # As text at once: written again after every epoch, a long run's numbers would take ever longer.
        header, rows = table.to_csv(index=False).split("\n", 1)
        self._header = header + "\n"
        self._rows.append(rows)
