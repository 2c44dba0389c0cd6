"""What a neuron keeps of its potential, for widths that follow a prediction with the reset."""

import math

import torch
from torch import Tensor


def kept(m: Tensor, s: Tensor, v_th: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of w = v where v < v_th and 0 elsewhere, for v ~ N(m, s^2), and dE[w]/dm.

    With a = (v_th - m) / s and Phi, phi the normal distribution and density,

        E1 = m Phi(a) - s phi(a),    E2 = (m^2 + s^2) Phi(a) - s phi(a) (m + v_th),
        Var[w] = E2 - E1^2,          dE1/dm = Phi(a) - v_th phi(a) / s,

    in float64 as `analysis.predict.truncated.kept`.
    """
    s_or_tiny = s.clamp_min(1e-30)
    a = (v_th - m) / s_or_tiny
    below = torch.special.ndtr(a)
    density = torch.exp(-a.clamp(-40, 40).square() / 2) / math.sqrt(2 * math.pi)
    e1 = m * below - s * density
    e2 = (m * m + s * s) * below - s * density * (m + v_th)
    return e1, (e2 - e1 * e1).clamp_min(0), below - v_th * density / s_or_tiny
