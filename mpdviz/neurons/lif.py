"""`lif`: leaky integrate-and-fire with a constant decay."""

from typing import ClassVar

from mpdviz.kernels import Reset
from mpdviz.neurons.base import ConstantDecay
from mpdviz.neurons.leaky import Leaky
from mpdviz.surrogates import Surrogate


class LIF(ConstantDecay):
    """Leaky integrate-and-fire with a constant decay.

    v(t) = decay * v(t-1) * (1 - s(t-1)) + current(t),  s(t) = 1[v(t) >= v_th], or, with a soft reset,
    v(t) = decay * (v(t-1) - v_th * s(t-1)) + current(t).
    """

    kind: ClassVar[str] = "lif"
    takes: ClassVar[frozenset[str]] = frozenset({"decay", "reset"})

    def __init__(
        self,
        decay: float = 0.2,
        v_th: float = 0.5,
        surrogate: Surrogate | None = None,
        reset: Reset = Reset(),  # noqa: B008 - frozen
    ) -> None:
        """Set the constants; the defaults are the reference's.

        Raises:
            BadInput: `decay` outside [0, 1] or `v_th` not positive.
        """
        super().__init__(decay, v_th, surrogate)
        self.reset = reset

    @property
    def dynamics(self) -> Leaky:
        """Leaky, with this decay and reset."""
        return Leaky(self.decay, self.reset)
