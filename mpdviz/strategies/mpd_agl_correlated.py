"""`mpd-agl-correlated`: the width from the prediction that knows how currents hang together over time."""

from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.strategies.averaging import Averaging
from mpdviz.strategies.base import Situation
from mpdviz.strategies.moments import channel_sums
from mpdviz.strategies.truncated import kept
from mpdviz.system.team import all_gather


class MPDAGLCorrelated(Averaging):
    """Width equal to twice the spread predicted with the reset and correlated currents (ours).

    As `mpd-agl-reset`, but the currents I(t) of different timesteps have the correlation R `[T, T]` that was
    observed. Every channel c of the batch norm is one normal component; with the moments of the kept potential
    E1, E2 as there, and with c(j) the covariance of the potential with a later current I(j),

        m' = decay E1 + beta_c,    s'^2 = decay^2 (E2 - E1^2) + 2 decay b c(t+1) + (gamma_c v_th)^2
        c'(j) = decay b c(j) + (gamma_c v_th)^2 R(t+1, j),    b = Phi(a) - v_th phi(a) / s

    from c(j) = (gamma_c v_th)^2 R(1, j) at t = 1 (`analysis.predict.correlated`). R is a moving average of the
    correlation within the channels of each training batch, their covariances pooled,

        R <- (1 - momentum) R + momentum R_batch;

    the first batch sets it, and before there is one it is the identity: the widths of `mpd-agl-reset`. It is
    saved with the network, and evaluation uses it as it is. Widths are at least 2 FLOOR v_th.
    """

    name: ClassVar[str] = "mpd-agl-correlated"
    scope: ClassVar[str] = "layer x timestep"
    source: ClassVar[str] = "ours, after Jiang et al., IJCAI 2025"
    sees_currents: ClassVar[bool] = True
    averages: ClassVar[tuple[str, ...]] = ("correlation",)

    FLOOR: ClassVar[float] = 0.01

    correlation: Tensor

    def __init__(self, momentum: float = 0.1) -> None:
        """Set the weight of the newest batch.

        Raises:
            BadInput: `momentum` not in (0, 1].
        """
        super().__init__(momentum)

    @torch.no_grad()
    def widths(self, situation: Situation) -> Tensor:
        """Twice the spread of the mixture at each timestep.

        Raises:
            BadInput: the average belongs to another T.
        """
        keep, v_th, timesteps = situation.decay64, situation.v_th, situation.timesteps
        input_std, beta = situation.gamma.double().abs() * v_th, situation.beta.double()
        known = self.known(timesteps)
        r = self.correlation.to(beta) if known else torch.eye(timesteps, dtype=beta.dtype, device=beta.device)
        power = input_std.square()
        rest, carried, slope = (torch.zeros_like(beta) for _ in range(3))
        ahead = beta.new_zeros(len(beta), timesteps)
        widths = []
        for t in range(timesteps):
            m = keep * rest + beta
            s = (keep * keep * carried + 2 * keep * slope * ahead[:, t] + power).clamp_min(0).sqrt()
            ahead = keep * slope[:, None] * ahead + power[:, None] * r[t]
            spread = (s.square().mean() + m.var(correction=0)).sqrt()
            widths.append(2 * spread.clamp_min(self.FLOOR * v_th))
            rest, carried, slope = kept(m, s, v_th)
        return torch.stack(widths).to(situation.gamma.dtype)

    @torch.no_grad()
    def see(self, current: Tensor) -> None:
        """Take the correlation of this batch into the average; a timestep without a spread moves nothing.

        Raises:
            BadInput: the average belongs to another T.
        """
        count, sums, products = channel_sums(current)
        if self.synchronised:
            everyone = all_gather(torch.cat((sums[:, :, None], products), 2)).sum(0)
            count *= torch.distributed.get_world_size()
            sums, products = everyone[:, :, 0], everyone[:, :, 1:]
        means = sums / count
        pooled = (products / count - means[:, :, None] * means[:, None, :]).sum(0)
        spread = pooled.diagonal().clamp_min(0).sqrt()
        now = (pooled / torch.outer(spread, spread)).clamp(-1, 1).to(current.dtype)
        unknown = ~now.isfinite()
        now = now.masked_fill(unknown, torch.nan)
        self.known(len(now))
        first = torch.where(unknown, torch.eye(len(now), dtype=now.dtype, device=now.device), now)
        self.take_in("correlation", now, first)
