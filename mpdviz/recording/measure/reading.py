"""One call of a neuron layer of ours: whole sequences, from rest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from mpdviz.neurons import Dynamics
from mpdviz.recording.measure.spec import shifts
from mpdviz.recording.sums import Row
from mpdviz.surrogates import Surrogate

PART = 1 << 21
"""Potentials that are computed again at a time, if one sample has no more: bounds their memory."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What went into the neurons and what they made of it."""

    current: Tensor
    """Input as the layer got it `[T, N, ...]`."""
    kept: Tensor | None
    """Pre-reset potentials `[T, N, ...]`, where they were at hand."""
    spikes: Tensor
    """Spikes `[T, N, ...]`."""
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
    dynamics: Dynamics

    @property
    def v(self) -> Tensor:
        """Pre-reset potentials `[T, N, ...]`, computed again where they were not at hand."""
        return self.dynamics.potentials(self.current, self.v_th) if self.kept is None else self.kept

    def parts(self) -> Iterator["Reading"]:
        """The same, some samples at a time where the potentials are still to be computed."""
        if self.kept is not None or self.spikes.dim() < 2:
            yield self
            return
        samples, each = self.spikes.shape[1], self.spikes[:, :1].numel()
        step = max(PART // max(each, 1), 1)
        for first in range(0, samples, step):
            some = slice(first, first + step)
            yield replace(self, current=self.current.detach()[:, some], spikes=self.spikes.detach()[:, some])

    def spike_path(self) -> Callable[[Tensor], Tensor | None]:
        """What gives, of dL/dv `[T, N, ...]`, the share that came through the neurons' own spikes."""
        # Whoever waits for the backward pass must not hold the graph that holds it.
        cut = replace(self, current=self.current.detach(), spikes=self.spikes.detach())
        return lambda total: cut.dynamics.spike_path(cut.v, cut.spikes, total)

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
