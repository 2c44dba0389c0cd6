"""`asgl`: outputs that are partly analog in training, so that the surrogate's sharpness can be learned."""

from collections.abc import Callable
from typing import ClassVar, ParamSpec, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.strategies.base import Follow, Response, Situation, Strategy
from mpdviz.surrogates.sigmoid import Sigmoid
from mpdviz.system.team import Team

P = ParamSpec("P")
R = TypeVar("R")


def _uncompiled(function: Callable[P, R]) -> Callable[P, R]:
    """Left out of a compiled network: every number drawn from would be compiled anew."""
    return cast(Callable[P, R], torch.compiler.disable(function))


class ASGL(Strategy):
    """Sigmoid of learned sharpness, some of it put out in training (Wang et al., ICML 2023).

    With x = v - v_th, s the logistic function and Theta the step, the output in training is

        s(alpha x) + [(Theta(x) - s(alpha x)) mask],    mask ~ Bernoulli(1 - p) for every output and timestep

    where the bracket carries no gradient: an output is a spike with probability 1 - p, else analog, and it is
    this value that resets the potential. In either case its derivative by x is

        h(x) = alpha s(alpha x) (1 - s(alpha x))

    and that by alpha, one parameter a layer, h(x) x / alpha. In evaluation all outputs are spikes. As kappa
    stands 4 / alpha, the width of the shape `sigmoid`. Of alpha only the magnitude counts, as at least FLOOR.

    Masks are drawn by numbers of the strategy's own, from where torch's random numbers stood as the layer was
    made and from the number of training steps since, both saved with the network: a run that is resumed draws
    what it would have drawn, and nobody else's random numbers move.
    """

    name: ClassVar[str] = "asgl"
    scope: ClassVar[str] = "layer"
    source: ClassVar[str] = "Wang et al., ICML 2023"
    knows_factors: ClassVar[bool] = True
    changes_forward: ClassVar[bool] = True
    own_shape: ClassVar[str | None] = "sigmoid"
    mixes: ClassVar[bool] = True

    FLOOR: ClassVar[float] = 0.01

    seed: Tensor
    drawn: Tensor

    def __init__(self, alpha: float = 1.0, p: float = 0.5) -> None:
        """Set the sharpness to start from, and the share of analog outputs.

        Raises:
            BadInput: `alpha` is not a number of at least FLOOR, or `p` not in [0, 1].
        """
        super().__init__()
        if not self.FLOOR <= alpha < 3e38:
            problem = f"strategy {self.name!r}: alpha={alpha}"
            raise BadInput(problem, f"give a number of at least {self.FLOOR}")
        if not 0 <= p <= 1:
            raise BadInput(f"strategy {self.name!r}: p={p}", "give a share from 0 to 1, e.g. 0.5")
        self.p, self.synchronised = float(p), False
        self.shape = Sigmoid()
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.register_buffer("seed", torch.tensor(_peek()))
        self.register_buffer("drawn", torch.tensor(0))

    def widths(self, situation: Situation) -> Tensor:
        """4 / alpha, T times, with alpha's gradient."""
        width = Sigmoid.a / self.alpha.abs().clamp_min(self.FLOOR)
        return width.to(situation.gamma.dtype).expand(situation.timesteps)

    def respond(self, situation: Situation, follow: Follow) -> Response:
        """The learned width, and in training a new mask."""
        spiking = self._masks(learns=situation.learns) if self.training else None
        return Response(self.widths(situation), self.shape, spiking=spiking)

    @_uncompiled
    def _masks(self, *, learns: bool) -> Callable[[Tensor], Tensor]:
        """What draws this step's mask; steps that teach nothing draw that of the next one."""
        number = int(self.seed) + int(self.drawn)
        if learns:
            self.drawn += 1

        @_uncompiled
        def draw(current: Tensor) -> Tensor:
            generator = torch.Generator(current.device).manual_seed(number)
            team = Team(dist.get_rank(), dist.get_world_size()) if self.synchronised else Team()
            timesteps, samples, *sizes = current.shape
            # Every rank draws for the whole batch, and takes what one process would give its samples.
            shape = (timesteps, samples * team.size, *sizes)
            return team.part(torch.rand(shape, generator=generator, device=current.device) >= self.p, 1)

        return draw


def _peek() -> int:
    """A number from torch's random numbers as they stand, which are left there."""
    generator = torch.Generator()
    generator.set_state(torch.get_rng_state())
    return int(torch.randint(2**62, (), generator=generator, device="cpu"))
