"""What every spiking neuron of ours shares, and what tells one kind from another: its dynamics."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.kernels.base import potential_dtype
from mpdviz.surrogates import Rectangular, Surrogate

Observer = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Sequence[Surrogate]], None]
"""Called after a forward: current, potentials and spikes `[T, ...]`; kappa, v_th and shapes `[T]`."""
Reader = Callable[[Tensor, Tensor | None, Tensor, Tensor, Tensor, Sequence[Surrogate]], None]
"""Like an observer, but that it is shown no potentials where it can have them by `Dynamics.recurrence`."""


class Dynamics(ABC):
    """How a neuron's potential is charged, fires and is reset, and which kernel computes that."""

    strict: ClassVar[bool] = False
    """Whether it fires at `v > v_th`, not at `v >= v_th`."""
    floor: ClassVar[float] = -math.inf
    """Potentials at or below it let no gradient through, wherever the surrogate's interval ends."""

    @property
    def unknown(self) -> Mapping[str, str]:
        """Why columns of a recording hold nothing, by column: `decay`, `predicted_ratio`."""
        return {}

    @property
    def predictable(self) -> bool:
        """Whether potentials follow v(t) = decay * v(t-1) * (1 - s(t-1)) + input, as predictions assume."""
        return self.carries == (True, False) and "predicted_ratio" not in self.unknown

    @property
    def factor(self) -> float:
        """What the current enters the potential times, so that dL/dv = dL/dcurrent / factor."""
        return 1.0

    @property
    def reset(self) -> str:
        """What a spike does, in a word: one of `kernels.RESETS`, `own` or `none`; empty where not told."""
        return ""

    @property
    def recurrence(self) -> tuple[float, bool] | None:
        """Decay, and whether the reset is soft, if the current and these give the potentials; or None."""
        return None

    def potentials(self, current: Tensor, v_th: Tensor) -> Tensor:
        """The potentials `[T, ...]` of a forward, computed again; where there is a `recurrence`."""
        raise NotImplementedError

    mixes: ClassVar[bool] = False
    """Whether some of its outputs may be analog, see `mixing`."""

    @property
    @abstractmethod
    def carries(self) -> tuple[bool, bool]:
        """Whether a potential's gradient comes back from the next one: without a spike, and with one."""

    @abstractmethod
    def run(
        self,
        current: Tensor,
        v_th: Tensor | float,
        kappa: Tensor | float,
        shapes: Surrogate | Sequence[Surrogate],
        *,
        keep_potentials: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Spikes and, if asked for, pre-reset potentials over all timesteps, from rest.

        The arguments are those of `kernels.multistep_lif`.
        """

    def mixing(self, spiking: Tensor) -> "Dynamics":
        """The same, but that where `spiking` `[T, ...]` is false the surrogate's integral is put out."""
        raise NotImplementedError

    @abstractmethod
    def follow(self, current: Tensor, rule: Callable[[Tensor], Tensor]) -> None:
        """Run over `current` `[T, ...]` with the threshold that `rule` makes of a timestep's potentials."""

    def spike_path(self, v: Tensor, spikes: Tensor, total: Tensor) -> Tensor | None:
        """The share of the gradient at the potentials that came through their own spikes, dL/ds(t) h(t).

        Args:
            v: pre-reset potentials `[T, ...]`.
            spikes: like `v`.
            total: dL/dv, like `v`.

        Returns:
            Like `v`; None where it cannot be told.
        """
        del v, spikes, total
        return None


class Neuron(nn.Module):
    """What every spiking neuron of ours shares: a threshold, a decay, a surrogate, and who is watching.

    A kind of neuron is a subclass with `kind`, `decay` and `dynamics`, made from (decay, v_th, surrogate)
    and, by name, from what else it `takes`.
    """

    kind: ClassVar[str]
    takes: ClassVar[frozenset[str]] = frozenset({"decay"})
    """Which of `decay` (its first argument), `reset` and `timesteps` (by name) it is made from."""
    timesteps: int | None = None
    """The T that it is made for; None: any."""

    def __init__(self, v_th: float, surrogate: Surrogate | None) -> None:
        """Set the threshold (> 0) and the surrogate (None: rectangular).

        Raises:
            BadInput: `v_th` is not a positive number.
        """
        super().__init__()
        if not (math.isfinite(v_th) and v_th > 0):
            raise BadInput(f"threshold `v_th` {v_th}", "give a positive number")
        self.v_th = float(v_th)
        self.surrogate = surrogate if surrogate is not None else Rectangular()
        self.observers: list[Observer] = []
        self.readers: list[Reader] = []
        self.mixed = False
        """Whether outputs of the last forward were analog."""

    def __getstate__(self) -> dict[str, Any]:
        """Who is watching stays behind: nobody watches a copy."""
        return {**vars(self), "observers": [], "readers": []}

    @property
    def decay(self) -> Tensor | float:
        """Share of the potential kept from one timestep to the next, in [0, 1]; NaN where none is."""
        raise NotImplementedError

    @property
    def dynamics(self) -> Dynamics:
        """How its potential moves, as of now."""
        raise NotImplementedError

    @property
    def decay_value(self) -> float:
        """The decay as a number, cut off from any gradient."""
        return float(torch.as_tensor(self.decay, dtype=torch.float64).detach())

    def forward(
        self,
        current: Tensor,
        kappa: Tensor | float | None = None,
        v_th: Tensor | None = None,
        shape: Surrogate | Sequence[Surrogate] | None = None,
        spiking: Tensor | None = None,
    ) -> Tensor:
        """Spikes of the neurons driven by `current`.

        Args:
            current: `[T, ...]`, time first.
            kappa: full width of the surrogate, a number or one per timestep `[T]`; None means 1.
            v_th: thresholds of this forward, one per timestep `[T]`; None means the neurons' own.
            shape: of the surrogate in this forward, one or one per timestep; None means the neurons' own.
            spiking: like `current`, truth values: where false the surrogate's integral, a number between 0
                and 1, is put out in place of the spike. None means spikes alone.

        Returns:
            Spikes (0 or 1) of the shape and dtype of `current`.

        Raises:
            BadInput: `kappa`, `v_th` or `shape` holds another number of values than there are timesteps, or
                `spiking` is given to neurons, or with a shape, that have no analog outputs.
        """
        width = 1.0 if kappa is None else kappa
        threshold = self.v_th if v_th is None else v_th
        for name, given in (("kappa", width), ("v_th", threshold)):
            if isinstance(given, Tensor) and given.dim() and given.shape != current.shape[:1]:
                raise BadInput(
                    f"{name} has shape {list(given.shape)} for a current {list(current.shape)}",
                    "give one number, or one for each timestep",
                )
        shapes = self._each_timestep(shape, len(current))
        dynamics, self.mixed = self.dynamics, spiking is not None
        if spiking is not None:
            self.check_mixes()
            dynamics = dynamics.mixing(spiking)
        keep = bool(self.observers or (self.readers and dynamics.recurrence is None))
        spikes, potentials = dynamics.run(current, threshold, width, shapes, keep_potentials=keep)
        if self.observers or self.readers:
            widths, thresholds = (
                torch.as_tensor(values, dtype=potential_dtype(current), device=current.device)
                .detach()
                .expand(len(current))
                for values in (width, threshold)
            )
            for reader in tuple(self.readers):
                reader(current, potentials, spikes, widths, thresholds, shapes)
            for observer in tuple(self.observers):
                assert potentials is not None
                observer(current, potentials, spikes, widths, thresholds, shapes)
        return spikes

    def follow(self, current: Tensor, rule: Callable[[Tensor], Tensor]) -> None:
        """Run over `current` `[T, ...]` with the threshold that `rule` makes of a timestep's potentials.

        The thresholds given to `forward` afterwards make the same potentials.
        """
        self.dynamics.follow(current, rule)

    def check_mixes(self) -> None:
        """Refuse where outputs are to be analog and cannot be.

        Raises:
            BadInput: they cannot.
        """
        if not self.dynamics.mixes:
            raise BadInput(
                f"neurons {self.kind!r} put out spikes alone, and analog values are asked for",
                "choose `neuron` lif or plif, or another `strategy`",
            )

    def _each_timestep(
        self, shape: Surrogate | Sequence[Surrogate] | None, timesteps: int
    ) -> Sequence[Surrogate]:
        if shape is None or isinstance(shape, Surrogate):
            return [self.surrogate if shape is None else shape] * timesteps
        if len(shape) != timesteps:
            raise BadInput(
                f"{len(shape)} shapes for {timesteps} timesteps", "give one, or one for each timestep"
            )
        return shape


class ConstantDecay(Neuron):
    """What neurons share that keep one constant share of their potential."""

    def __init__(self, decay: float, v_th: float, surrogate: Surrogate | None) -> None:
        """Set the constants.

        Raises:
            BadInput: `decay` outside [0, 1] or `v_th` not positive.
        """
        super().__init__(v_th, surrogate)
        if not 0 <= decay <= 1:
            raise BadInput(f"`decay` {decay}", "give a number from 0 (no memory) to 1 (no leak)")
        self._decay = float(decay)

    @property
    def decay(self) -> float:
        """The constant decay."""
        return self._decay

    def extra_repr(self) -> str:
        """Constants, for print(network)."""
        return f"decay={self.decay:g}, v_th={self.v_th:g}, surrogate={self.surrogate.name}"
