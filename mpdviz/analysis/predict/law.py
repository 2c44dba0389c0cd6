"""What a prediction is: the law of a layer's potentials at every timestep (no torch)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mpdviz.analysis.predict.normal import Floats, density, ndtr

_BLOCK = 64  # Channels whose distribution is evaluated at once: what stays in the processor's cache.


@dataclass(frozen=True, eq=False)
class Prediction:
    """A law of the potential at each timestep: K equally weighted normal components, means and stds `[T, K]`.

    A component of standard deviation 0 (a channel that batch norm has switched off) is a point mass, and
    is treated as one everywhere.
    """

    name: str
    means: Floats
    stds: Floats

    @property
    def mean(self) -> Floats:
        """Mean of the potential `[T]`."""
        return np.asarray(self.means.mean(1))

    @property
    def std(self) -> Floats:
        """Its standard deviation `[T]`: within the components and between them."""
        return np.asarray(np.sqrt((self.stds**2).mean(1) + self.means.var(1)))

    def shifted(self, by: Floats) -> "Prediction":
        """The law of the potential plus `by` `[T]`."""
        return Prediction(self.name, self.means + by[:, None], self.stds)

    def cdf(self, x: Floats) -> Floats:
        """P(v <= x) at the points x `[M]`, as `[T, M]`; the limit from the left is `cdf(x) - mass(x)`."""
        # Predictions that repeat from one timestep to the next are evaluated once.
        laws, which = np.unique(np.stack([self.means, self.stds], 1), axis=0, return_inverse=True)
        sums = np.zeros((len(laws), len(x)))
        for total, (mean, std) in zip(sums, laws[:, :, :, None], strict=True):
            for start in range(0, len(mean), _BLOCK):
                block = slice(start, start + _BLOCK)
                total += ndtr(standardise(x, mean[block], std[block], np.inf)).sum(0)
        return np.asarray(sums[which.ravel()] / self.means.shape[1])

    def mass(self, x: Floats) -> Floats:
        """P(v = x) at the points x `[M]`, as `[T, M]`: the share of point masses lying there."""
        counts = [
            np.count_nonzero(mean[std == 0, None] == x, axis=0)
            for mean, std in zip(self.means, self.stds, strict=True)
        ]
        return np.asarray(np.stack(counts) / self.means.shape[1])

    def ratio(self, lower: Floats, upper: Floats) -> Floats:
        """Probability `[T]` of the open interval between lower `[T]` and upper `[T]`."""
        return np.asarray(normal_ratio(self.means, self.stds, lower[:, None], upper[:, None]).mean(1))

    def distance_outside(self, lower: Floats, upper: Floats) -> Floats:
        """Expected distance `[T]` by which the potential misses [lower, upper], each `[T]`.

        It is the area under the distribution function up to `lower` and over it from `upper` on:

            E[(lower - v)+] + E[(v - upper)+],    E[(x - v)+] = (x - mean) Phi(z) + std phi(z)

        with z = (x - mean) / std, averaged over the components.
        """
        short = _expected_shortfall(self.means, self.stds, lower[:, None])
        over = _expected_shortfall(-self.means, self.stds, -upper[:, None])
        return np.asarray((short + over).mean(1))


def normal_ratio(mean: ArrayLike, std: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> Floats:
    """Probability that a normal potential lies strictly between `lower` and `upper`; arguments broadcast.

        Phi((upper - mean) / std) - Phi((lower - mean) / std)

    With v_th -/+ kappa/2 as bounds it is the gradient-available ratio. A `std` of 0 is a point mass, and an
    empty interval has probability 0.
    """
    low = standardise(lower, mean, std, np.inf)
    high = standardise(upper, mean, std, -np.inf)
    # Above the mean both terms approach 1 and their difference would lose its digits: mirror it.
    mirror = low > 0
    low, high = np.where(mirror, -high, low), np.where(mirror, -low, high)
    return np.asarray(np.maximum(ndtr(high) - ndtr(low), 0.0))


def standardise(x: ArrayLike, mean: ArrayLike, std: ArrayLike, at_point_mass: float) -> Floats:
    """(x - mean) / std, which is -inf below a point mass, inf above it, and `at_point_mass` on it."""
    x, mean, std = np.asarray(x), np.asarray(mean), np.asarray(std)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = (x - mean) / std
    return np.where((std == 0) & (x == mean), at_point_mass, z) if (std == 0).any() else np.asarray(z)


def _expected_shortfall(mean: Floats, std: Floats, x: Floats) -> Floats:
    z = standardise(x, mean, std, np.inf)
    return np.asarray((x - mean) * ndtr(z) + std * density(z))
