"""Currents whose timesteps are correlated, with the reset and without (no torch).

A neuron's currents I(1) .. I(T) are taken as jointly normal, in each channel with means and covariances of
its own, as a recording sums them up (`accumulations.currents`).
"""

import numpy as np

from mpdviz.analysis.predict.law import Floats, Prediction
from mpdviz.analysis.predict.truncated import kept


def correlated(decay: float, thresholds: Floats, means: Floats, covariances: Floats) -> Prediction:
    """The law of v(t) = decay w(t-1) + I(t), w(t) = v(t) where v(t) < threshold(t) and 0 elsewhere.

    Without any noise: what is carried from one timestep to the next are mean mu and variance sigma^2 of v(t),
    and its covariance c(j) with every later current I(j). With E[w], Var[w] and the slope s = dE[w]/dmu of
    `truncated.kept`,

        mu'      = decay E[w] + mean(t+1)
        sigma'^2 = decay^2 Var[w] + 2 decay s c(t+1) + Cov(t+1, t+1)
        c'(j)    = decay s c(j) + Cov(t+1, j)

    from those of I(1) at t = 1. Mean and variance are exact up to t = 2; later ones take the potential before
    to be jointly normal with the later currents. Where the currents are independent this is `reset`, with each
    timestep's own variance. Source: ours.

    Args:
        decay: share of the potential kept, in [0, 1].
        thresholds: those in force `[T]`.
        means: of the currents `[C, T]`.
        covariances: `[C, T, T]`.

    Returns:
        One component a channel.
    """
    channels, timesteps = means.shape
    mu, sigma = np.empty((timesteps, channels)), np.empty((timesteps, channels))
    rest, spread, slope = np.zeros(channels), np.zeros(channels), np.zeros(channels)
    ahead = np.zeros((channels, timesteps))  # covariances of the potential with every current
    for t in range(timesteps):
        variance = decay**2 * spread + 2 * decay * slope * ahead[:, t] + covariances[:, t, t]
        mu[t] = decay * rest + means[:, t]
        sigma[t] = np.sqrt(np.maximum(variance, 0))  # which rounding may have made negative
        ahead = decay * slope[:, None] * ahead + covariances[:, t]
        rest, spread, slope = kept(mu[t], sigma[t], thresholds[t])
    return Prediction("correlated", mu, sigma)


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
