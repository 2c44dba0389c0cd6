"""What another threshold or batch-norm scale would do, by the normal law (no torch).

The potentials of a timestep are taken to be U ~ N(mean, std^2), with the recorded mean and standard
deviation, so that

    ratio = Phi((upper - mean) / std) - Phi((lower - mean) / std).

A factor may move the threshold, the spread and the width, each in proportion; the mean stays. That is a
prediction: potentials are not normal, a reset moves the mean too, and so does training. Source: the closed
form of Jiang et al., IJCAI 2025, with the recorded moments in place of the predicted ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mpdviz.accumulations.histogram import Floats
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis.frames import share
from mpdviz.analysis.predict import normal_ratio

OCTAVES = {"gamma": 4, "v_th": 2}
"""How far a factor is looked for on either side of 1: farther away, a threshold is another network's."""
STEPS, DIGITS = 256, 3
"""Steps an octave, digits of what is given."""
ENOUGH, NEAR_BEST = 0.8, 0.95
"""Share of the target that is worth giving, where the target is out of reach too, and an arm; share of the
most there is that is taken for it then: the last bit may cost a factor of many."""
POINTS, FARTHEST = 4001, 8
"""Where an expectation is summed: so many points, up to so many standard deviations from the mean."""


@dataclass(frozen=True, eq=False)
class Law:
    """The potentials of a layer as a normal law, and where its interval lies; all `[T]`."""

    mean: Floats
    std: Floats
    v_th: Floats
    lower: Floats
    upper: Floats
    with_threshold: bool = False
    """Whether a factor moves the threshold,"""
    with_spread: bool = False
    """the spread of the potentials,"""
    with_width: bool = False
    """and the width of the interval."""

    @classmethod
    def of(
        cls,
        layer: LayerAccumulation,
        *,
        with_threshold: bool = False,
        with_spread: bool = False,
        with_width: bool = False,
    ) -> "Law":
        """The law with the recorded moments."""
        info, sums = layer.info, layer.statistics
        std = np.sqrt(share(sums.m2, sums.finite))
        mean = np.where(sums.finite > 0, sums.mean, np.nan)
        return cls(
            mean,
            std,
            np.array(info.thresholds_in_force),
            np.array(info.lower),
            np.array(info.upper),
            with_threshold,
            with_spread,
            with_width,
        )

    def times(self, factor: float) -> "Law":
        """The law once everything that moves has been multiplied."""
        v_th = self.v_th * (factor if self.with_threshold else 1)
        width = factor if self.with_width else 1
        return Law(
            self.mean,
            self.std * (factor if self.with_spread else 1),
            v_th,
            v_th + (self.lower - self.v_th) * width,
            v_th + (self.upper - self.v_th) * width,
        )

    def ratio(self) -> Floats:
        """Available ratio `[T]`."""
        return normal_ratio(self.mean, self.std, self.lower, self.upper)

    def expected(self, h: Callable[[Floats], Floats]) -> Floats:
        """E[h(U - v_th)] `[T]`, summed by the trapezoidal rule."""
        z = np.linspace(-FARTHEST, FARTHEST, POINTS)
        density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        x = (self.mean - self.v_th)[:, None] + self.std[:, None] * z
        return np.asarray(np.trapezoid(h(x) * density, z, axis=1))


def nearest(law: Law, target: float, octaves: int, start: float = 1.0) -> float:
    """The factor nearest to 1 at which every timestep has at least the share `target` inside.

    Args:
        law: what is multiplied.
        target: the wanted available ratio.
        octaves: how far to look on either side of 1.
        start: the value that the factor multiplies; its product has `DIGITS` significant digits.

    Returns:
        The factor. Where none reaches the target but some come near it, the nearest that has
        about the most there is; NaN where none comes near.
    """
    exponents = np.linspace(-octaves, octaves, 2 * octaves * STEPS + 1)
    values = {float(f"{start * 2**exponent:.{DIGITS}g}") for exponent in exponents}
    factors = np.array(sorted((value / start for value in values), key=lambda factor: abs(np.log(factor))))
    lowest = np.array([law.times(factor).ratio().min() for factor in factors])
    most = lowest.max(initial=0)  # NaN where potentials are
    if not most >= ENOUGH * target:
        return np.nan
    wanted = target if most >= target else NEAR_BEST * most
    return float(factors[(lowest >= wanted).argmax()])
