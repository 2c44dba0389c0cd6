"""Each channel from one timestep to the next, with the reset: from batch norm and decay (no torch)."""

import numpy as np

from mpdviz.analysis.predict.law import Prediction, standardise
from mpdviz.analysis.predict.normal import Floats, density, ndtr


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
        a = standardise(firing[t], mean, std, -np.inf)  # A point mass on the threshold spikes.
        p, q, phi = ndtr(a), ndtr(-a), density(a)
        kept = mean * p - std * phi
        spread = mean**2 * p * q - 2 * mean * std * phi * q
        spread += std**2 * (p - phi**2) - std * (firing[t] - mean) * phi
        mean, std = decay * kept + beta, np.sqrt(decay**2 * spread + noise**2)
    return Prediction("reset", means, stds)
