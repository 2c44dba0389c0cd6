"""`mpd-agl-correlated`: the width from the prediction that knows how currents hang together over time."""

from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.strategies.averaging import Averaging
from mpdviz.strategies.base import Situation
from mpdviz.strategies.lattice import cholesky, lattice
from mpdviz.strategies.moments import channel_sums
from mpdviz.strategies.mpd_agl_reset import MPDAGLReset
from mpdviz.system.team import all_gather


class MPDAGLCorrelated(Averaging):
    """Width equal to twice the spread predicted with the reset and correlated currents (ours).

    In channel c of the batch norm the currents I(t) are jointly normal with mean beta_c, standard deviation
    |gamma_c| v_th and correlation R `[T, T]`, and v(t) = decay v(t-1) [v(t-1) < v_th] + I(t). The half-width
    at t is the standard deviation of v(t) over all channels, at least FLOOR v_th, summed over a lattice of
    POINTS as in `analysis.predict.correlated`. R is a moving average of the correlation within the channels
    of each training batch, their covariances pooled,

        R <- (1 - momentum) R + momentum R_batch;

    the first batch sets it. Behind a norm with factors p_t, beta_c and gamma_c are p_t times as large at
    timestep t, and R is of what comes out of it. It is saved with the network, and evaluation uses it as it
    is. Before there is any, the widths are those of `mpd-agl-reset`, which takes R to be the identity.
    """

    name: ClassVar[str] = "mpd-agl-correlated"
    scope: ClassVar[str] = "layer x timestep"
    source: ClassVar[str] = "ours, after Jiang et al., IJCAI 2025"
    needs: ClassVar[frozenset[str]] = frozenset({"decay", "hard reset"})
    knows_factors: ClassVar[bool] = True
    sees_currents: ClassVar[bool] = True
    averages: ClassVar[tuple[str, ...]] = ("correlation",)

    FLOOR: ClassVar[float] = 0.01
    POINTS: ClassVar[int] = 2**14
    """Shared out among the channels, each of which has at least FEWEST."""
    FEWEST: ClassVar[int] = 32

    correlation: Tensor

    def __init__(self, momentum: float = 0.1) -> None:
        """Set the weight of the newest batch.

        Raises:
            BadInput: `momentum` not in (0, 1].
        """
        super().__init__(momentum)
        self._lattice: Tensor | None = None

    @torch.no_grad()
    def widths(self, situation: Situation) -> Tensor:
        """Twice the spread over all channels at each timestep.

        Raises:
            BadInput: the average belongs to another T.
        """
        if not self.known(situation.timesteps):
            return MPDAGLReset().widths(situation)
        keep, v_th = situation.decay64, situation.v_th
        gamma, beta, factors = situation.gamma.double(), situation.beta.double(), situation.factors
        each = gamma.new_ones(situation.timesteps) if factors is None else factors.double()
        stds, means = torch.outer(each, gamma).abs()[:, :, None] * v_th, torch.outer(each, beta)[:, :, None]
        xi = self._points(len(gamma), situation.timesteps, gamma.device)
        factor = cholesky(self.correlation.to(gamma))
        standard = xi @ factor.T
        rest = torch.zeros_like(standard[..., 0])
        widths = []
        for t in range(situation.timesteps):
            last = stds[t] * factor[t, t]
            v = keep * rest + means[t] + stds[t] * standard[..., t]
            given = v - last * xi[..., t]
            spread = (last.square().mean() + given.var(correction=0)).sqrt()
            widths.append(2 * spread.clamp_min(self.FLOOR * v_th))
            rest = torch.where(v < v_th, v, 0)
        return torch.stack(widths).to(situation.gamma.dtype)

    def _points(self, channels: int, timesteps: int, device: torch.device) -> Tensor:
        """The lattice, a block of points for each channel `[C, n, T]`."""
        shape = (channels, max(self.FEWEST, self.POINTS // channels), timesteps)
        known = self._lattice
        if known is None or known.shape != shape or known.device != device:
            known = self._lattice = lattice(shape[0] * shape[1], timesteps).reshape(shape).to(device)
        return known

    @torch.no_grad()
    def see(self, current: Tensor) -> None:
        """Take the correlation of this batch into the average; a timestep without any spread moves nothing.

        Raises:
            BadInput: the average belongs to another T.
        """
        count, sums, products = channel_sums(current)
        if self.synchronised:
            everyone = all_gather(torch.cat((sums[:, :, None], products), 2))
            count, total = count * len(everyone), everyone.sum(0)
            sums, products = total[:, :, 0], total[:, :, 1:]
        means = sums / count
        pooled = (products / count - means[:, :, None] * means[:, None, :]).sum(0)
        spread = pooled.diagonal().clamp_min(0).sqrt()
        now = (pooled / torch.outer(spread, spread)).clamp(-1, 1)
        now = torch.where(now.isfinite(), now, torch.nan).to(current.dtype)
        self.known(len(now))
        identity = torch.eye(len(now), dtype=now.dtype, device=now.device)
        self.take_in("correlation", now, torch.where(now.isnan(), identity, now))
