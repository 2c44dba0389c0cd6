"""Sums over the input currents of a neuron layer, which tell how they hang together in time (no torch)."""

from dataclasses import dataclass

import numpy as np

from mpdviz.accumulations.histogram import Floats

OF_CURRENTS = ("predicted_ratio_correlated",)
"""Columns of the main table under which it is said why there are no sums."""
ROUNDING = 1e-12
"""Share of its mean square below which a channel's variance is what rounding left of a constant current."""


@dataclass
class CurrentSums:
    """Sums over samples and positions of a layer's currents I(t), in the units of its potential.

    They are of whole sequences alone, all of the same length T. A current that is NaN or infinite makes the
    sums of its channel so.
    """

    count: int
    """Sequences summed in each channel: samples x positions."""
    sums: Floats
    """Sum of I(t) `[C, T]`."""
    products: Floats
    """Sum of I(t) I(t') `[C, T, T]`."""

    def __add__(self, other: "CurrentSums") -> "CurrentSums | None":
        """The sums over both; None for other lengths or channels, which do not add up to one law."""
        if self.sums.shape != other.sums.shape:
            return None
        return CurrentSums(self.count + other.count, self.sums + other.sums, self.products + other.products)

    @property
    def finite(self) -> bool:
        """Whether no current was NaN or infinite."""
        return bool(np.isfinite(self.sums).all() and np.isfinite(self.products).all())

    @property
    def means(self) -> Floats:
        """Mean of I(t) in each channel `[C, T]`."""
        return self.sums / self.count

    @property
    def covariances(self) -> Floats:
        """Population covariance of I(t) and I(t') in each channel `[C, T, T]`."""
        second, means = self.products / self.count, self.means
        found = second - means[:, :, None] * means[:, None, :]
        # A constant current has none, and no other current covaries with it.
        constant = np.einsum("ctt->ct", found) <= ROUNDING * np.einsum("ctt->ct", second)
        return np.asarray(np.where(constant[:, :, None] | constant[:, None, :], 0.0, found))

    @property
    def correlation(self) -> Floats:
        """Correlation of I(t) and I(t') within the channels `[T, T]`, their covariances pooled.

            R(t, t') = sum over c of Cov_c(t, t') / sqrt(sum over c of Var_c(t) x sum over c of Var_c(t'))

        NaN at a timestep where no channel's current varies.
        """
        pooled = self.covariances.sum(0)
        scale = np.sqrt(np.outer(np.diag(pooled), np.diag(pooled)))
        return np.asarray(np.divide(pooled, scale, out=np.full(pooled.shape, np.nan), where=scale > 0))
