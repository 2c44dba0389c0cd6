"""What every width strategy shares: how it is asked for widths, and what it may watch."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

Follow = Callable[[Callable[[Tensor], Tensor]], None]
"""Runs the neurons of a forward with the threshold that a rule makes of each timestep's potentials."""


class Strategy(nn.Module, ABC):
    """One way to set the surrogate's width; `scope` says what one width is shared by."""

    name: ClassVar[str]
    scope: ClassVar[str]
    source: ClassVar[str]
    changes_forward: ClassVar[bool] = False
    """Whether it alters spikes too, not only their gradient."""

    observes: ClassVar[bool] = False
    """Whether it is shown the potentials of each training step, see `observe`."""

    @abstractmethod
    def kappa(
        self,
        timesteps: int,
        decay: Tensor | float,
        v_th: float,
        gamma: Tensor,
        beta: Tensor | None = None,
    ) -> Tensor:
        """Full widths of the surrogate, one for each timestep.

        Args:
            timesteps: T.
            decay: the neuron's decay, in [0, 1].
            v_th: the neuron's threshold.
            gamma: weights `[C]` of the tdBN just before the neuron, v_th excluded.
            beta: its biases `[C]`.

        Returns:
            `[T]`, detached, on gamma's device, in units of potential.
        """

    def respond(
        self,
        follow: Follow,
        timesteps: int,
        decay: Tensor | float,
        v_th: float,
        gamma: Tensor,
        beta: Tensor,
        *,
        learns: bool,
    ) -> tuple[Tensor | None, Tensor]:
        """Thresholds and widths of one forward.

        Args:
            follow: see `Follow`; for strategies whose thresholds are made of the potentials themselves.
            timesteps: as of `kappa`, like those below.
            decay: see above.
            v_th: see above.
            gamma: see above.
            beta: see above.
            learns: whether moving averages may take in this forward.

        Returns:
            Thresholds `[T]`, None for the neurons' own, and widths `[T]`.
        """
        return None, self.kappa(timesteps, decay, v_th, gamma, beta)

    def observe(self, v: Tensor, v_th: float) -> None:
        """What the widths of this forward led to, after it, in training and only where `observes` is true.

        Args:
            v: pre-reset potentials `[T, N, ...]`, detached.
            v_th: the neuron's threshold.
        """
