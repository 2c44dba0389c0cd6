"""What a batch norm and a decay say about the potentials behind them, before any is recorded (no torch).

The batch norm gives channel c an input current that is close to normal, with mean beta_c and standard
deviation |gamma_c| v_th. Each prediction turns that into the law of the pre-reset membrane potential
v(t) = decay v(t-1) (1 - s(t-1)) + current(t), a normal one or an equally weighted mixture of normal ones,
one a channel. They differ in what they leave out:

    name      channels   timesteps   reset after a spike
    paper     averaged   1, later    ignored
    mixture   each       1, later    ignored
    time      averaged   each        ignored
    reset     each       each        modelled

`paper` is Theorems 1 and 2 of Jiang et al., IJCAI 2025 (doi 10.24963/IJCAI.2025/464); the others are ours.
All take the currents of different timesteps to be independent; `repeated_input_std` is for where they are
one and the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from mpdviz.errors import BadInput, unknown_name

Floats = NDArray[np.float64]

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
                total += ndtr(_standardise(x, mean[block], std[block], np.inf)).sum(0)
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
    low = _standardise(lower, mean, std, np.inf)
    high = _standardise(upper, mean, std, -np.inf)
    # Above the mean both terms approach 1 and their difference would lose its digits: mirror it.
    mirror = low > 0
    low, high = np.where(mirror, -high, low), np.where(mirror, -low, high)
    return np.asarray(np.maximum(ndtr(high) - ndtr(low), 0.0))


def _standardise(x: ArrayLike, mean: ArrayLike, std: ArrayLike, at_point_mass: float) -> Floats:
    # (x - mean) / std, which is -inf below a point mass, inf above it, and what the caller wants on it.
    x, mean, std = np.asarray(x), np.asarray(mean), np.asarray(std)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = (x - mean) / std
    return np.where((std == 0) & (x == mean), at_point_mass, z) if (std == 0).any() else np.asarray(z)


def _density(z: Floats) -> Floats:
    # Beyond 40 the density is 0 in float64, and z * z could overflow.
    return np.exp(-(np.clip(z, -40, 40) ** 2) / 2) / math.sqrt(2 * math.pi)


def _expected_shortfall(mean: Floats, std: Floats, x: Floats) -> Floats:
    z = _standardise(x, mean, std, np.inf)
    return np.asarray((x - mean) * ndtr(z) + std * _density(z))


def paper(timesteps: int, decay: float, v_th: float, gamma: Floats, beta: Floats) -> Prediction:
    """The paper's: one normal law from the channel means of gamma and beta, the same for every t > 1.

        v(1)     ~ N(beta_mean,             (gamma_mean v_th)^2)                Theorem 1
        v(t > 1) ~ N(beta_mean (1 + decay), (1 + decay^2) (gamma_mean v_th)^2)  Theorem 2

    Source: Jiang et al., IJCAI 2025.
    """
    return _scaled("paper", *_two_steps(timesteps, decay), v_th, _average(gamma), _average(beta))


def mixture(timesteps: int, decay: float, v_th: float, gamma: Floats, beta: Floats) -> Prediction:
    """The paper's law for each channel by itself, then mixed.

        v(1)     ~ mean over c of N(beta_c,             (gamma_c v_th)^2)
        v(t > 1) ~ mean over c of N(beta_c (1 + decay), (1 + decay^2) (gamma_c v_th)^2)

    so the variance at t > 1 is (1 + decay^2) v_th^2 mean(gamma^2) + (1 + decay)^2 Var(beta). Source: ours.
    """
    return _scaled("mixture", *_two_steps(timesteps, decay), v_th, gamma, beta)


def time(timesteps: int, decay: float, v_th: float, gamma: Floats, beta: Floats) -> Prediction:
    """The paper's law with as many past inputs as there are at t.

        v(t) ~ N(beta_mean D(decay, t), D(decay^2, t) (gamma_mean v_th)^2),    D(r, t) = sum over i < t of r^i

    which without reset is exact: v(t) is the sum over i < t of decay^i current(t - i). At t <= 2 it is the
    paper's. Source: ours.
    """
    past = _geometric(decay, timesteps), np.sqrt(_geometric(decay**2, timesteps))
    return _scaled("time", *past, v_th, _average(gamma), _average(beta))


def reset(
    timesteps: int,
    decay: float,
    v_th: float,
    gamma: Floats,
    beta: Floats,
    thresholds: Floats | None = None,
) -> Prediction:
    """Each channel by itself, from one timestep to the next, the potential set to 0 after a spike.

    What a neuron keeps of v ~ N(mu, sigma^2) is w = v where v < v_th and 0 elsewhere. With
    a = (v_th - mu) / sigma, p = Phi(a), q = 1 - p and phi = phi(a), its moments are those of a truncated
    normal law:

        E[w]   = mu p - sigma phi
        Var[w] = mu^2 p q - 2 mu sigma phi q + sigma^2 (p - phi^2) - sigma (v_th - mu) phi

        mu' = decay E[w] + beta_c,    sigma'^2 = decay^2 Var[w] + (gamma_c v_th)^2,

    from mu = beta_c, sigma = |gamma_c| v_th at t = 1. Mean and variance are exact up to t = 2; later
    ones take the potential before to be normal. `thresholds` `[T]` are those in force where v_th is only the
    batch norm's scale. Source: ours.
    """
    firing = np.full(timesteps, v_th) if thresholds is None else thresholds
    noise = np.abs(gamma) * v_th
    means, stds = np.empty((timesteps, len(gamma))), np.empty((timesteps, len(gamma)))
    mean, std = beta, noise
    for t in range(timesteps):
        means[t], stds[t] = mean, std
        a = _standardise(firing[t], mean, std, -np.inf)  # A point mass on the threshold spikes.
        p, q, phi = ndtr(a), ndtr(-a), _density(a)
        kept = mean * p - std * phi
        spread = mean**2 * p * q - 2 * mean * std * phi * q
        spread += std**2 * (p - phi**2) - std * (firing[t] - mean) * phi
        mean, std = decay * kept + beta, np.sqrt(decay**2 * spread + noise**2)
    return Prediction("reset", means, stds)


def repeated_input_std(timesteps: int, decay: float, v_th: float, gamma_mean: float) -> Floats:
    """Standard deviation `[T]` where every timestep brings the same current, the reset ignored.

        std(t) = |gamma_mean| v_th D(decay, t),    D(r, t) = sum over i < t of r^i

    That is an encoding layer fed with a repeated static image: at t = 2 its spread grows by 1 + decay, not by
    the sqrt(1 + decay^2) of independent currents. Source: ours.
    """
    return abs(gamma_mean) * v_th * _geometric(decay, timesteps)


def _average(values: Floats) -> Floats:
    return np.asarray(values.mean(keepdims=True))


def _geometric(r: float, timesteps: int) -> Floats:
    # D(r, t), the sum over i < t of r^i, for t = 1 .. T.
    return np.cumsum(float(r) ** np.arange(timesteps))


def _two_steps(timesteps: int, decay: float) -> tuple[Floats, Floats]:
    # Growth of mean and standard deviation when only one past input is counted.
    first = np.arange(timesteps) == 0
    return np.where(first, 1.0, 1 + decay), np.where(first, 1.0, math.sqrt(1 + decay**2))


def _scaled(name: str, shift: Floats, growth: Floats, v_th: float, gamma: Floats, beta: Floats) -> Prediction:
    # Components [K] whose means grow by `shift` [T] and standard deviations by `growth` [T].
    return Prediction(name, np.outer(shift, beta), np.outer(growth, np.abs(gamma) * v_th))


PREDICTIONS: dict[str, Callable[[int, float, float, Floats, Floats], Prediction]] = {
    function.__name__: function for function in (paper, mixture, time, reset)
}
"""Predictions by name, from the coarsest to the finest: f(timesteps, decay, v_th, gamma, beta)."""


def predict(
    name: str,
    *,
    timesteps: int,
    decay: float,
    v_th: float,
    gamma: ArrayLike,
    beta: ArrayLike,
    thresholds: ArrayLike | None = None,
) -> Prediction:
    """The law of a neuron layer's pre-reset potential that the named prediction gives.

    Args:
        name: one of `PREDICTIONS`.
        timesteps: T.
        decay: share of the potential kept from one timestep to the next, in [0, 1].
        v_th: the neuron's threshold.
        gamma: weights `[C]` of the batch norm just before the neuron, v_th excluded, of any sign: a spread is
            their magnitude.
        beta: its biases `[C]`, in units of potential.
        thresholds: those in force `[T]` where they differ from `v_th`, the batch norm's; only `reset` asks.

    Raises:
        BadInput: unknown prediction, decay or threshold out of range, or not one bias a weight.
    """
    if name not in PREDICTIONS:
        raise unknown_name("prediction", name, PREDICTIONS)
    if not (0 <= decay <= 1 and v_th > 0):
        raise BadInput(
            f"prediction {name!r}: decay={decay}, v_th={v_th}", "give decay in [0, 1] and v_th > 0"
        )
    weights, biases = np.asarray(gamma, np.float64), np.asarray(beta, np.float64)
    if weights.ndim != 1 or weights.shape != biases.shape or not weights.size:
        raise BadInput(
            f"prediction {name!r}: gamma of shape {weights.shape}, beta of shape {biases.shape}",
            "give one weight and one bias a channel",
        )
    if name == reset.__name__ and thresholds is not None:
        return reset(timesteps, decay, v_th, weights, biases, np.asarray(thresholds, np.float64))
    return PREDICTIONS[name](timesteps, decay, v_th, weights, biases)
