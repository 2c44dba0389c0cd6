"""What one layer's potentials add up to while they stream by."""

from dataclasses import dataclass, fields

import torch

from mpdviz.accumulations.layer import LayerStatistics
from mpdviz.recording.measure.step import Counted
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
        self._sums = LayerStatistics.empty(0)
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
        self.unit = 0.0
        """The histogram's; set by the first row."""

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

    def add(self, timestep: int, counted: Counted, offset: float) -> None:
        """Add what was counted at a timestep, from 0; potentials are shown `offset` larger."""
        self._make_room(timestep, len(counted.what_if))
        sums, t = self._sums, timestep
        known, new = int(sums.count[t] - sums.nonfinite[t]), counted.count - counted.nonfinite
        sums.count[t] += counted.count
        sums.nonfinite[t] += counted.nonfinite
        sums.available[t] += counted.available
        sums.below[t] += counted.below
        sums.above[t] += counted.above
        sums.spikes[t] += counted.spikes
        sums.gain[t] += counted.gain
        sums.gain_nonfinite[t] += counted.gain_nonfinite
        sums.cells[t] += counted.cells
        sums.what_if[t] += counted.what_if
        if new:
            mean = counted.mean + offset
            apart = mean - sums.mean[t] if known else 0.0
            sums.mean[t] = mean if not known else sums.mean[t] + apart * (new / (known + new))
            sums.m2[t] += counted.m2 + apart**2 * (known * new / (known + new))
            sums.min[t] = min(sums.min[t], counted.min + offset)
            sums.max[t] = max(sums.max[t], counted.max + offset)

    def add_whole(self, first: int, statistics: LayerStatistics) -> None:
        """Add the statistics of whole sequences from timestep `first` on."""
        timesteps = max(self.timesteps, first + len(statistics.count))
        before = self._counted()
        self._sums = (
            before.at(0, timesteps) + statistics.at(first, timesteps)
            if self.timesteps
            else (statistics.at(first, timesteps))
        )
        self.timesteps = timesteps

    def end(self, position: Position) -> None:
        """A sequence is over: which of its potentials a gradient reaches is known."""
        if position.pending is not None:
            self._sums.reach[: position.timestep + 1] += position.pending.reached(position.timestep + 1)
            position.pending = None

    def statistics(self) -> LayerStatistics:
        """The rows so far, sequences under way as if they ended here."""
        made = self._counted()
        for position in list(self.positions.values()):
            if position.pending is not None:
                made.reach[: position.timestep + 1] += position.pending.reached(position.timestep + 1)
        return made

    def _counted(self) -> LayerStatistics:
        return LayerStatistics(
            **{
                field.name: getattr(self._sums, field.name)[: self.timesteps].copy()
                for field in fields(self._sums)
            }
        )

    def _make_room(self, timestep: int, widths: int) -> None:
        capacity = len(self._sums.count)
        if timestep >= capacity or self._sums.what_if.shape[1] != widths:
            wide = LayerStatistics.empty(max(4, 2 * capacity, timestep + 1), widths)
            for field in fields(wide):
                if capacity and self._sums.what_if.shape[1] == widths:
                    getattr(wide, field.name)[:capacity] = getattr(self._sums, field.name)
            self._sums = wide
        self.timesteps = max(self.timesteps, timestep + 1)
