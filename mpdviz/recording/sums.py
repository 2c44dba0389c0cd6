"""What one layer's potentials add up to while they stream by."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from mpdviz.accumulations.histogram import Counts
from mpdviz.accumulations.layer import LayerStatistics
from mpdviz.recording.currents import CurrentTally
from mpdviz.recording.measure.step import Pending
from mpdviz.recording.measure.tally import REAL, WHOLE, Tally
from mpdviz.recording.sequences import Position
from mpdviz.surrogates.probed import SpikeFunction


@dataclass(frozen=True)
class Row:
    """What a timestep's potentials were measured against, in units of the potential."""

    threshold: float
    kappa: float
    lower: float
    upper: float
    surrogate: str
    compact: bool
    strict: bool
    nan_below: float | None = None

    @classmethod
    def of(cls, function: SpikeFunction, offset: float) -> "Row":
        """That of a spike function of potentials less `offset`."""
        around = [(low, high) for low, high in function.intervals if low < function.threshold < high]
        low, high = (around or list(function.intervals))[0]
        nan_below = function.finite[0] - function.threshold if function.finite[0] > -torch.inf else None
        threshold = function.threshold + offset
        return cls(
            threshold,
            function.kappa,
            low + offset,
            high + offset,
            function.name,
            function.compact,
            function.strict,
            nan_below,
        )


class Sums:
    """One row a timestep; as many as the longest sequence has."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.timesteps = 0
        self.sequences = 0
        """That began."""
        self._tallies: list[Tally] = []  # by timestep
        self._whole: LayerStatistics | None = None  # of sequences that were measured at once
        self._reach: Counts = np.zeros(0, np.int64)  # of sequences that are over
        self.rows: list[Row] = []
        self.positions: dict[int, Position] = {}
        """Where it is in time, by thread."""
        self.census: torch.Tensor | None = None
        """Flat uint8 `[neurons]`."""
        self.shape: tuple[int, ...] | None = None
        """Of the neurons; None before the first call."""
        self.comparable = True
        """Whether all calls had neurons of one shape."""
        self.steady = True
        """Whether thresholds and intervals were the same at every forward."""
        self.currents = CurrentTally()
        """Of its input, where that is known."""
        self.unit = 0.0
        """The histogram's; set by the first row."""
        self._runs: torch.Tensor | None = None  # of a sequence that is over, to be used again

    def look(self, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
        """The census of neurons of this shape; they are told apart as long as the shape stays the same."""
        if self.census is None or self.shape is None:
            self.shape = shape
            self.census = torch.zeros(torch.Size(shape).numel(), dtype=torch.uint8, device=device)
        elif self.shape != shape:
            self.comparable = False
        if not self.comparable:
            return torch.zeros(torch.Size(shape).numel(), dtype=torch.uint8, device=device)
        return self.census

    def describe(self, timestep: int, row: Row) -> None:
        """Note what a timestep, from 0, is measured against."""
        if not self.unit:
            self.unit = row.threshold if row.threshold > 0 else 1.0
        if timestep < len(self.rows):
            if self.rows[timestep] is not row and self.rows[timestep] != row:
                self.steady, self.rows[timestep] = False, row
        else:
            self.rows += [row] * (timestep + 1 - len(self.rows))

    def tally(self, timestep: int, widths: int) -> Tally:
        """What is added to at a timestep, from 0, with so many what-if widths."""
        while len(self._tallies) <= timestep:
            self._tallies.append(Tally.empty(widths))
        self.timesteps = max(self.timesteps, timestep + 1)
        return self._tallies[timestep]

    def add_whole(self, first: int, statistics: LayerStatistics) -> None:
        """Add the statistics of whole sequences from timestep `first` on."""
        self.timesteps = max(self.timesteps, first + len(statistics.count))
        added = statistics.at(first, self.timesteps)
        self._whole = added if self._whole is None else self._whole + added

    def pending(self, u: torch.Tensor) -> Pending:
        """The runs of a sequence that begins with potentials like `u`."""
        runs, self._runs = self._runs, None
        if runs is None or runs.numel() != u.numel() or runs.device != u.device:
            return Pending(u.new_zeros(u.numel(), dtype=torch.int16))
        return Pending(runs.zero_())

    def end(self, position: Position) -> None:
        """A sequence is over: which of its potentials a gradient reaches is known; so are its currents."""
        self.currents.end(id(position))
        if position.pending is not None:
            self._runs = position.pending.first
            reached = position.pending.reached(position.timestep + 1)
            missing = len(reached) - len(self._reach)
            if missing > 0:
                self._reach = np.append(self._reach, np.zeros(missing, np.int64))
            self._reach[: len(reached)] += reached
            position.pending = None

    def statistics(self) -> LayerStatistics:
        """The rows so far, sequences under way as if they ended here."""
        made = LayerStatistics.empty(0) if self._whole is None else self._whole
        if self._tallies:
            whole, real = (np.stack([getattr(t, name) for t in self._tallies]) for name in ("whole", "real"))
            made = LayerStatistics(
                **{name: whole[:, i] for i, name in enumerate(WHOLE)},
                **{name: real[:, i] for i, name in enumerate(REAL)},
                cells=np.stack([tally.cells for tally in self._tallies]),
                what_if=np.stack([tally.what_if for tally in self._tallies]),
                reach=np.zeros(len(self._tallies), np.int64),
            )
        made = made.at(0, self.timesteps)
        reach = np.zeros(self.timesteps, np.int64)
        reach[: len(self._reach)] = self._reach
        for position in list(self.positions.values()):
            if position.pending is not None:
                reach[: position.timestep + 1] += position.pending.reached(position.timestep + 1)
        return replace(made, reach=made.reach + reach)
