"""What training tells of a run, and whom: a sink is given every epoch and every recording."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position, StepInfo


@dataclass(frozen=True, eq=False)
class Recorded:
    """The potentials of the monitored samples at one moment of a run."""

    epoch: int
    """From 1."""
    step: int
    """Steps done in this epoch."""
    table: pd.DataFrame
    """The main table (`metrics.main_columns`) of `layers`."""
    layers: Mapping[int, LayerAccumulation]
    """The recording, by layer number."""


class Sink(ABC):
    """Keeps the numbers of one run, in the one process that leads it.

    A run may end at any moment and go on from its last save. What came after that comes again then, and a
    sink is to show it once.
    """

    @classmethod
    def require(cls) -> None:
        """Look for what the sink needs, before a run has written anything.

        Raises:
            BadInput: it is not installed.
        """
        return

    @abstractmethod
    def __init__(self, folder: RunFolder, position: Position, done: int) -> None:
        """Open for a run that stands at `position`, after `done` training steps in all."""

    def step(self, now: StepInfo) -> None:
        """Take in a training step; most keep nothing of it."""
        return

    @abstractmethod
    def epoch(self, row: Mapping[str, Any], widths: Sequence[Mapping[str, Any]], step: int) -> None:
        """Take in an epoch.

        Args:
            row: of `metrics.csv`.
            widths: the epoch's rows of `widths.csv`.
            step: training steps so far, in all.
        """

    @abstractmethod
    def recorded(self, recorded: Recorded, step: int) -> None:
        """Take in a recording, made after `step` training steps in all."""

    @abstractmethod
    def flush(self) -> None:
        """Write what must not be missing should the run end in the middle of being saved: that comes now."""

    def saved(self) -> None:
        """Write what must not be ahead of the save, which is done; most have nothing of the kind."""
        return

    @abstractmethod
    def close(self) -> None:
        """Write no more."""
