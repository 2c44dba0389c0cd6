"""`observed`: the width that holds a wanted available ratio on the potentials themselves."""

from typing import ClassVar

import torch
import torch.distributed as dist
from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.strategies.averaging import Averaging
from mpdviz.strategies.base import Situation
from mpdviz.system.team import Team


class Observed(Averaging):
    """Width at which a share `ratio` of the potentials is available (ours).

    With q(t) the `ratio`-quantile of |v(t) - v_th| over a training batch,

        kappa(t) = 2 q_avg(t),    q_avg(t) <- (1 - momentum) q_avg(t) + momentum q(t),

    so a rectangular surrogate has that share inside; other shapes are dilated alike. The first batch sets
    q_avg; before it the width is 1. The averages are saved with the network, and evaluation uses them as
    they are. Of a large layer every n-th potential is looked at, some SAMPLE of each timestep.
    """

    name: ClassVar[str] = "observed"
    scope: ClassVar[str] = "layer x timestep"
    source: ClassVar[str] = "ours"
    knows_factors: ClassVar[bool] = True
    observes: ClassVar[bool] = True
    averages: ClassVar[tuple[str, ...]] = ("half_widths",)

    SAMPLE: ClassVar[int] = 8192
    FLOOR: ClassVar[float] = 0.01
    """Smallest half-width, in units of v_th."""

    half_widths: Tensor

    def __init__(self, ratio: float = 0.5, momentum: float = 0.1) -> None:
        """Set the wanted share and the weight of the newest batch.

        Raises:
            BadInput: `ratio` not between 0 and 1, or `momentum` not in (0, 1].
        """
        super().__init__(momentum)
        if not 0 < ratio < 1:
            raise BadInput(f"strategy 'observed': ratio={ratio}", "give a share between 0 and 1, e.g. 0.5")
        self.ratio = float(ratio)

    def widths(self, situation: Situation) -> Tensor:
        """Twice the averaged half-widths; 1 before the first batch.

        Raises:
            BadInput: the averages belong to another T.
        """
        if not self.known(situation.timesteps):
            return situation.gamma.new_ones(situation.timesteps)
        return 2 * self.half_widths.clamp_min(self.FLOOR * situation.v_th).to(situation.gamma.dtype)

    @torch.no_grad()
    def observe(self, v: Tensor, v_th: float) -> None:
        """Take the quantiles of this batch into the averages; potentials that are not finite are left out."""
        flat = v.reshape(len(v), -1)
        team = Team(dist.get_rank(), dist.get_world_size()) if self.synchronised else Team()
        every = max(1, team.size * flat.shape[1] // self.SAMPLE)
        # The ranks' potentials lie end to end: each goes on counting where the one before it stopped.
        first = -team.rank * flat.shape[1] % every
        away = (flat[:, first::every].float() - v_th).abs()
        away = torch.where(away.isfinite(), away, torch.nan)
        if self.synchronised:
            away = torch.cat(team.share(away.cpu()), 1).to(v.device)
        quantiles = torch.nanquantile(away, self.ratio, dim=1)
        self.take_in("half_widths", quantiles, quantiles)
