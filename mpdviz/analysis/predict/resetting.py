"""Each channel from one timestep to the next, with the reset: from batch norm and decay (no torch)."""

import numpy as np

from mpdviz.analysis.predict.law import Floats, Prediction
from mpdviz.analysis.predict.truncated import kept


def reset(
    timesteps: int,
    decay: float,
    v_th: float,
    gamma: Floats,
    beta: Floats,
    thresholds: Floats | None = None,
) -> Prediction:
    """Each channel by itself, from one timestep to the next, the potential set to 0 after a spike.

    With E[w] and Var[w] of what a neuron keeps of v ~ N(mu, sigma^2), see `truncated.kept`,

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
        rest, spread, _ = kept(mean, std, firing[t])
        mean, std = decay * rest + beta, np.sqrt(decay**2 * spread + noise**2)
    return Prediction("reset", means, stds)
