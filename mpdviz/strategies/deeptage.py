"""`deeptage`: widths in proportion to how far the potentials of each timestep lie from the threshold."""

from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.strategies.averaging import Averaging
from mpdviz.strategies.base import Follow, Response, Situation
from mpdviz.surrogates.lorentz import Lorentz
from mpdviz.system.team import all_gather


class DeepTAGE(Averaging):
    """Width that grows with the potentials' distance from the threshold (Liu et al., ICLR 2025).

        h(x) = 1 / (1 + pi^2 (x / delta(t))^2),    delta(t) = w sigma(t) / sigma(1) + 1 - w

    with x = v - v_th, and sigma(t) the mean over the batch of the length (L2 norm) of a sample's x at t,
    without a gradient. h is the shape `lorentz` at kappa = delta(t): 1 at the threshold, whatever the width.
    Training uses the delta of the batch, evaluation a moving average of it, which the first batch sets and
    which is saved with the network; before that delta = 1, as where sigma(1) = 0. The formula is that of
    an implementation by others than the authors; the paper's auxiliary classifiers are left out.
    """

    name: ClassVar[str] = "deeptage"
    scope: ClassVar[str] = "layer x timestep"
    source: ClassVar[str] = "Liu et al., ICLR 2025"
    knows_factors: ClassVar[bool] = True
    own_shape: ClassVar[str | None] = "lorentz"
    averages: ClassVar[tuple[str, ...]] = ("deltas",)

    deltas: Tensor

    def __init__(self, w: float = 0.25, momentum: float = 0.1) -> None:
        """Set how much the widths follow the potentials, and the weight of the newest batch.

        Raises:
            BadInput: `w` not in [0, 1), or `momentum` not in (0, 1].
        """
        super().__init__(momentum)
        if not 0 <= w < 1:
            raise BadInput(f"strategy {self.name!r}: w={w}", "give a share from 0 up to, not including, 1")
        self.w = float(w)
        self.shape = Lorentz()

    def widths(self, situation: Situation) -> Tensor:
        """The averaged delta(t); 1 before the first batch.

        Raises:
            BadInput: the averages belong to another T.
        """
        if not self.known(situation.timesteps):
            return situation.gamma.new_ones(situation.timesteps)
        return self.deltas.to(situation.gamma.dtype)

    @torch.no_grad()
    def respond(self, situation: Situation, follow: Follow) -> Response:
        """Widths of this batch in training, of the averages in evaluation.

        Raises:
            BadInput: the averages belong to another T.
        """
        if not self.training:
            return super().respond(situation, follow)
        lengths = []

        def rule(v: Tensor) -> Tensor:
            threshold = v.new_tensor(situation.v_th)
            lengths.append(torch.linalg.vector_norm((v - threshold).flatten(1), dim=1).mean())
            return threshold

        follow(rule)
        sigma = torch.stack(lengths)
        if self.synchronised:  # every rank has as many samples
            sigma = all_gather(sigma).mean(0)
        ratio = torch.where(sigma[0] > 0, sigma / sigma[0], 1)
        delta = self.w * ratio + (1 - self.w)
        if situation.learns:
            self.known(situation.timesteps)
            self.take_in("deltas", delta, delta)
        return Response(delta, self.shape)
