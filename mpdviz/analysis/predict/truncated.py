"""What a neuron keeps of its potential: nothing after a spike (no torch)."""

import numpy as np
from scipy.special import ndtr

from mpdviz.analysis.predict.law import Floats, density, standardise


def kept(mean: Floats, std: Floats, threshold: float) -> tuple[Floats, Floats, Floats]:
    """Mean and variance of w = v where v < threshold and 0 elsewhere, for v ~ N(mean, std^2), and dE[w]/dmean.

    With a = (threshold - mean) / std, p = Phi(a), q = 1 - p and phi = phi(a), the moments of a truncated
    normal law,

        E[w]       = mean p - std phi
        Var[w]     = mean^2 p q - 2 mean std phi q + std^2 (p - phi^2) - std (threshold - mean) phi
        dE[w]/dmean = p - threshold phi / std

    The last is what Stein's lemma asks for: Cov(w, x) = Cov(v, x) dE[w]/dmean for any x that is jointly
    normal with v. A point mass on the threshold spikes.
    """
    a = standardise(threshold, mean, std, -np.inf)
    p, q, phi = ndtr(a), ndtr(-a), density(a)
    spread = mean**2 * p * q - 2 * mean * std * phi * q
    spread += std**2 * (p - phi**2) - std * (threshold - mean) * phi
    steep = np.divide(threshold * phi, std, out=np.zeros(np.shape(std)), where=std > 0)
    return np.asarray(mean * p - std * phi), np.asarray(spread), np.asarray(p - steep)
