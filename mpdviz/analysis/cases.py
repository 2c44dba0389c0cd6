"""What may help a layer, and what that would do to the potentials that were recorded of it (no torch)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from mpdviz.accumulations.histogram import Floats
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import whatif
from mpdviz.analysis.frames import share

How = Literal["exact", "bounds", "predicted", "words"]
NEAR = 1e-6
"""By which share of its width an interval may differ from that of a shape."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A surrogate as plain functions."""

    name: str
    half_width: float
    """Half its available interval at kappa = 1."""
    h: Callable[[Floats, Floats], Floats]
    """Its derivative at x = v - v_th and a width, broadcast to x."""
    keeps_height: bool = False
    """Whether it is as high at every width; its gain is no measure beside those that keep their area."""


RECTANGLE = Shape("rectangular", 0.5, lambda x, kappa: (np.abs(x / kappa) < 0.5) / kappa)


@dataclass(frozen=True, eq=False)
class Effect:
    """Available ratio and mean gain at each timestep `[T]` as bounds, equal where they are exact."""

    ratio_low: Floats
    ratio_high: Floats
    gain_low: Floats
    gain_high: Floats

    @property
    def lowest(self) -> tuple[float, float]:
        """Bounds of the lowest available ratio over the timesteps; infinite where none is known."""
        low, high = (np.nanmin(ratio, initial=np.inf) for ratio in (self.ratio_low, self.ratio_high))
        return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Remedy:
    """One thing that may be done about one layer."""

    layer: int
    name: str
    finding: str
    """The checks that the layer fails."""
    remedy: str
    """What it is, in short."""
    action: str
    """What to do, in words."""
    how: How
    """Whether `after` is counted (`exact`), lies between counts (`bounds`), is by the normal law or of
    widths that go on moving (`predicted`), or there is none (`words`)."""
    source: str
    before: Effect
    after: Effect | None = None
    kappa: tuple[float, ...] = ()
    """Widths at each timestep that it sets; empty where it sets none."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a run (`RunConfig`) that do it; empty where none do."""
    gamma_scale: float = 1.0
    """By what to multiply the setting `gamma` besides."""
    helps: bool = True
    """Whether the finding would be less: a higher lowest share; of a layer that is too wide, more gain at the
    target share."""


@dataclass(frozen=True, eq=False)
class Case:
    """A layer that fails a check."""

    number: int
    layer: LayerAccumulation
    finding: str
    too_wide: bool
    """Whether its interval should be narrower; else wider."""
    target: float
    """Available ratio to reach."""
    shapes: Mapping[str, Shape]

    @cached_property
    def before(self) -> Effect:
        """What was recorded."""
        sums = self.layer.statistics
        ratio, gain = share(sums.available, self.layer.placed), share(sums.gain, sums.with_gain)
        if "mean_gain" in self.layer.info.not_measured:
            gain = np.full_like(gain, np.nan)
        return Effect(ratio, ratio, gain, gain)

    @cached_property
    def kappa(self) -> Floats:
        """The widths in force `[T]`."""
        return np.array(self.layer.info.kappa)

    @cached_property
    def own(self) -> Shape | None:
        """The layer's surrogate, where it is one of `shapes`: by its name and by its interval."""
        info = self.layer.info
        shape = self.shapes.get(info.surrogate)
        half = (np.array(info.upper) - np.array(info.lower)) / 2
        if shape is None or not np.isfinite(half).all():
            return None
        expected = self.kappa * shape.half_width
        return shape if bool((np.abs(half - expected) <= NEAR * expected).all()) else None

    def under(self, shape: Shape, kappa: Floats) -> Effect:
        """Its potentials under a shape of widths `[T]`."""
        rows = whatif.shape(self.number, self.layer, shape.half_width, shape.h, kappa)
        low, high = (rows[f"available_ratio_{end}"].to_numpy() for end in ("low", "high"))
        if shape.name == RECTANGLE.name:
            return Effect(low, high, low / kappa, high / kappa)
        return Effect(low, high, rows["mean_gain_low"].to_numpy(), rows["mean_gain_high"].to_numpy())

    def remedy(self, remedy: str, action: str, how: How, source: str, **more: Any) -> Remedy:
        """One for this layer; `more` are further fields of `Remedy`."""
        after: Effect | None = more.get("after")
        name = self.layer.info.name
        helps = after is None or self._helps(after)
        return Remedy(
            self.number, name, self.finding, remedy, action, how, source, self.before, helps=helps, **more
        )

    def _helps(self, after: Effect) -> bool:
        (low, high), (now, _) = after.lowest, self.before.lowest
        if not self.too_wide:
            return low > now
        more = np.nansum(after.gain_low) > np.nansum(self.before.gain_high)
        return bool(more) and high >= min(self.target, now)
