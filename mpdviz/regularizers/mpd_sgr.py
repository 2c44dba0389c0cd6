"""`mpd-sgr`: fewer potentials in the gradient-available interval, for robustness."""

from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from mpdviz.regularizers.base import Forward, Regularizer
from mpdviz.surrogates import EPSILON


class MPDSGR(Regularizer):
    """weight * mean over layers, of each the mean over c and t, of P(|U_c(t) - v_th| < g(t)).

    MPD-SGR (Jiang et al., AAAI 2026, arXiv 2511.12199) lowers the share of potentials with a spike gradient,
    as batch norm and decay predict it for each channel c:

        P = Phi((mu + g) / sigma) - Phi((mu - g) / sigma)
        mu = beta_c D(decay, t) - S_c(t) - v_th,    sigma = |gamma_c| alpha v_th sqrt(D(decay^2, t))
        D(a, t) = sum over i = 1..t of a^(t-i)

    Our reading, where the formula at hand leaves it open: potentials are counted from the threshold, since P
    then is the probability of (-g, g); g(t) is half the width of the interval that the surrogate makes
    available; S_c(t), which is subtracted from a potential, is what the resets before t have taken from it,

        hard reset: S(t) = sum over i < t of decay^(t-i) mean(v(i) s(i))
        soft reset: S(t) = sum over i < t of decay^(t-i) v_th(i) mean(s(i))

    with means over samples and space of this batch, and without a gradient; so mu + v_th is the channel's
    mean potential exactly, where the currents' mean is beta_c. gamma, beta and a learned decay get a gradient
    through mu and sigma; widths and thresholds do not. A norm's factors p_i make D the sum of a^(t-i) p_i in
    mu and of a^(t-i) p_i^2 in sigma. A sigma below FLOOR v_th counts as that. The default weight is ours.
    """

    name: ClassVar[str] = "mpd-sgr"
    source: ClassVar[str] = "Jiang et al., AAAI 2026, arXiv 2511.12199"

    FLOOR: ClassVar[float] = 0.01

    def __init__(self, weight: float = 0.1) -> None:
        """Set the penalty's weight, the paper's eta.

        Raises:
            BadInput: it is no positive number.
        """
        super().__init__(weight)

    @override
    def of_layer(self, forward: Forward) -> Tensor:
        norm, decay = forward.layer.norm, forward.dynamics.decay
        timesteps = len(forward.current)
        factors = norm.factors(timesteps)
        p = norm.weight.new_ones(timesteps) if factors is None else factors
        growth = _discounted(decay * decay, p * p).clamp_min(1e-12).sqrt()  # no infinite slope at 0
        sigma = torch.outer(growth, norm.weight.abs() * (norm.alpha * norm.v_th))
        mu = torch.outer(_discounted(decay, p), norm.bias) - self._taken(forward) - forward.v_th[:, None]
        halves = [shape.half_width(EPSILON) for shape in forward.shapes]
        g = (forward.kappa * forward.kappa.new_tensor(halves))[:, None]
        sigma = sigma.clamp_min(self.FLOOR * norm.v_th)
        inside: Tensor = torch.special.ndtr((mu + g) / sigma) - torch.special.ndtr((mu - g) / sigma)
        return inside.mean()

    @override
    def of_layers(self, terms: Tensor) -> Tensor:
        return terms.mean()

    @torch.no_grad()
    def _taken(self, forward: Forward) -> Tensor:
        """S `[T, C]`."""
        v, spikes, decay = forward.v, forward.spikes, forward.dynamics.decay
        scale = forward.v_th.view(-1, *[1] * (v.dim() - 1)) if forward.dynamics.resets.soft else v
        others = [axis for axis in range(v.dim()) if axis not in (0, 2)]
        taken = self.mean((scale * spikes).mean(others))
        before = torch.cat([torch.zeros_like(taken[:1]), taken[:-1]])
        return decay * _discounted(decay, before)


def _discounted(a: Tensor | float, values: Tensor) -> Tensor:
    """Sum over i = 1..t of a^(t-i) values(i), for t = 1..T: `[T, ...]`."""
    sums = [values[0]]
    for value in values[1:]:
        sums.append(a * sums[-1] + value)
    return torch.stack(sums)
