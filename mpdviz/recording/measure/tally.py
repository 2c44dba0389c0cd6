"""What the potentials of one timestep add up to, in arrays that compiled code adds to."""

from dataclasses import dataclass

import numpy as np

from mpdviz.accumulations.histogram import CELLS, Counts, Floats

WHOLE = ("count", "nonfinite", "available", "below", "above", "spikes", "gain_nonfinite")
COUNT, NONFINITE, AVAILABLE, BELOW, ABOVE, SPIKES, GAIN_NONFINITE = range(len(WHOLE))
REAL = ("gain", "mean", "m2", "min", "max")
GAIN, MEAN, M2, MIN, MAX = range(len(REAL))


@dataclass(frozen=True, eq=False)
class Tally:
    """The sums of `accumulations.statistics.LayerStatistics`, of one timestep."""

    whole: Counts
    """In the order of `WHOLE`."""
    real: Floats
    """In the order of `REAL`."""
    cells: Counts
    """Histogram `[CELLS]`."""
    what_if: Counts
    """Of each what-if width `[W]`."""

    @classmethod
    def empty(cls, widths: int = 0) -> "Tally":
        """That of no potentials, with so many what-if widths."""
        real = np.zeros(len(REAL))
        real[MIN], real[MAX] = np.inf, -np.inf
        return cls(
            np.zeros(len(WHOLE), np.int64), real, np.zeros(CELLS, np.int64), np.zeros(widths, np.int64)
        )

    @property
    def finite(self) -> int:
        """Number of finite potentials."""
        return int(self.whole[COUNT] - self.whole[NONFINITE])

    def add(self, other: "Tally") -> None:
        """Add another one's potentials; means merge by the update of Chan et al."""
        ours, theirs = self.finite, other.finite
        self.whole[:] += other.whole
        self.cells[:] += other.cells
        self.what_if[:] += other.what_if
        self.real[GAIN] += other.real[GAIN]
        if theirs:
            apart = other.real[MEAN] - self.real[MEAN] if ours else 0.0
            share = theirs / (ours + theirs)
            self.real[MEAN] = self.real[MEAN] + apart * share if ours else other.real[MEAN]
            self.real[M2] += other.real[M2] + apart**2 * ours * share
            self.real[MIN] = min(self.real[MIN], other.real[MIN])
            self.real[MAX] = max(self.real[MAX], other.real[MAX])
