"""One call of a neuron layer of ours: whole sequences, from rest."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mpdviz.recording.measure.spec import shifts
from mpdviz.recording.sums import Row
from mpdviz.surrogates import Surrogate


@dataclass(frozen=True, eq=False)
class Reading:
    """What went into the neurons and what they made of it."""

    current: Tensor
    """Input as the layer got it `[T, N, ...]`."""
    v: Tensor
    """Pre-reset potentials `[T, N, ...]`."""
    spikes: Tensor
    """Like `v`."""
    kappa: Tensor
    """Widths of the surrogate `[T]`, of v's dtype."""
    v_th: Tensor
    """Thresholds in force `[T]`, of v's dtype."""
    shapes: tuple[Surrogate, ...]
    """Of the surrogate, one a timestep."""
    unit: float
    """Threshold that the neurons were made with."""
    strict: bool
    """Whether they spike at v > v_th, not at v >= v_th."""
    carries: tuple[bool, bool]
    """Whether the next potential's gradient comes back without a spike, and with one."""
    floor: float
    """Potentials at or below it let no gradient through."""
    spike_path: Callable[[Tensor], Tensor | None]
    """The share of dL/dv, like `v`, that came through the neurons' own spikes."""

    def rows(self, epsilon: float) -> list[Row]:
        """What each timestep is measured against; `epsilon` bounds infinite supports."""
        widths = self.kappa.tolist()
        thresholds = [self.unit + shift for shift in shifts(self.v_th, self.unit).tolist()]
        kinds = list(zip(self.shapes, thresholds, widths, strict=True))
        known = {}
        for kind in dict.fromkeys(kinds):
            shape, threshold, width = kind
            lower, upper = (max(end, self.floor) for end in shape.interval(threshold, width, epsilon))
            known[kind] = Row(threshold, width, lower, upper, shape.name, shape.compact, self.strict)
        return [known[kind] for kind in kinds]
