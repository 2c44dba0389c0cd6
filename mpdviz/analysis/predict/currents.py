"""Currents whose timesteps are correlated, with the reset and without (no torch).

A neuron's currents I(1) .. I(T) are taken as jointly normal, in each channel with means and covariances of
its own, as a recording sums them up (`accumulations.currents`).
"""

from functools import lru_cache

import numpy as np

from mpdviz.analysis.predict.law import Prediction
from mpdviz.analysis.predict.normal import Floats, ndtri

POINTS = 2**16
"""At which the law is evaluated at most, shared out among the channels."""
FEWEST = 32
"""Of one channel, a power of two as all are, so that equal groups can be made of them."""
COMPONENTS = 256
"""Of the mixture that is made of them."""
SINGULAR = 1e-12
"""Share of a current's variance below which what earlier ones leave of it is rounding."""


def correlated(decay: float, thresholds: Floats, means: Floats, covariances: Floats) -> Prediction:
    """The law of v(t) = decay w(t-1) + I(t), w(t) = v(t) where v(t) < threshold(t) and 0 elsewhere.

    With I = mean + L xi, L the Cholesky factor of a channel's covariance and xi independent standard normal,
    v(t) is normal once xi(1) .. xi(t-1) are given:

        v(t) | xi ~ N(decay w(t-1) + mean(t) + sum over k < t of L(t, k) xi(k), L(t, t)^2)

    Its law is the average of these over the points of a lattice that fills the unit cube evenly,
    xi(k) = Phi^-1(frac(n sqrt(prime_k))) (Richtmyer 1951): no random numbers, the same result every time.
    The moments are exact at t = 1, and within 1 in 200 of the truth later. Carrying moments alone, as `reset`
    does, would miss the spread by a tenth and more where decay and correlation are high. Source: ours.

    Args:
        decay: share of the potential kept, in [0, 1].
        thresholds: those in force `[T]`.
        means: of the currents `[C, T]`.
        covariances: `[C, T, T]`.

    Returns:
        A mixture of at most `COMPONENTS` normal laws: the points in the order of their means, neighbours put
        together, mean and variance kept.
    """
    channels, timesteps = means.shape
    each = max(FEWEST, 2 ** int(np.log2(max(1, POINTS // channels))))
    xi = lattice(each * channels, timesteps).reshape(channels, each, timesteps)
    factor = cholesky(covariances)
    current = means[:, None] + xi @ factor.transpose(0, 2, 1)
    rest = np.zeros(current.shape[:2])
    mu, sigma = [], []
    for t in range(timesteps):
        last = factor[:, t, t, None]
        v = decay * rest + current[:, :, t]
        given = _joined(v - last * xi[:, :, t], last)
        mu.append(given[0])
        sigma.append(given[1])
        rest = np.where(v < thresholds[t], v, 0.0)
    return Prediction("correlated", np.stack(mu), np.stack(sigma))


def summed(decay: float, means: Floats, covariances: Floats) -> Prediction:
    """The same without reset, where v(t) is the sum over i <= t of decay^(t-i) I(i): exact.

    Args:
        decay: share of the potential kept, in [0, 1].
        means: of the currents `[C, T]`.
        covariances: `[C, T, T]`.

    Returns:
        One component a channel, named `summed`. Source: ours.
    """
    lag = np.subtract.outer(np.arange(means.shape[1]), np.arange(means.shape[1]))
    weights = np.tril(float(decay) ** np.maximum(lag, 0))
    variances = np.einsum("ti,cij,tj->tc", weights, covariances, weights, optimize=True)
    return Prediction("summed", weights @ means.T, np.sqrt(np.maximum(variances, 0)))


@lru_cache(maxsize=2)
def lattice(points: int, dimensions: int) -> Floats:
    """Standard normal values at the points of Richtmyer's lattice `[points, dimensions]`."""
    primes = [n for n in range(2, 312) if all(n % k for k in range(2, n))][:dimensions]
    return np.asarray(ndtri(np.outer(np.arange(1, points + 1), np.sqrt(primes)) % 1.0))


def cholesky(covariances: Floats) -> Floats:
    """Lower factors `[C, T, T]` of covariances that may be singular: what earlier ones determine adds 0."""
    factor = np.zeros_like(covariances)
    for t in range(covariances.shape[1]):
        left = covariances[:, t:, t] - np.einsum("cjk,ck->cj", factor[:, t:, :t], factor[:, t, :t])
        kept = left[:, 0] > SINGULAR * covariances[:, t, t]
        pivot = np.sqrt(np.where(kept, left[:, 0], 1.0))
        factor[:, t:, t] = np.where(kept[:, None], left / pivot[:, None], 0.0)
    return factor


def _joined(means: Floats, stds: Floats) -> tuple[Floats, Floats]:
    """Equally weighted normal laws `[C, N]`, stds `[C, 1]`, as at most `COMPONENTS` of the same moments."""
    order = np.argsort(means, axis=None, kind="stable")
    components = next(n for n in range(COMPONENTS, 0, -1) if means.size % n == 0)
    order = order.reshape(components, -1)
    of = means.ravel()[order]
    away = of - of[:, :1]  # exactly 0 where all are the same, so that a point mass stays one
    centre = away.mean(1)
    variances = (stds.ravel() ** 2)[order // means.shape[1]]
    return of[:, 0] + centre, np.sqrt(variances.mean(1) + (away**2).mean(1) - centre**2)
