"""Neurons of other frameworks that put every timestep through a function which is an attribute of theirs."""

from abc import abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.recording.adapters.base import Adapter, Observer, Reading, refutation
from mpdviz.surrogates import Surrogate


class StepFunction(Adapter):
    """Looks at what goes into the function; the neurons spike where it is above the threshold."""

    function: ClassVar[str]
    """Name of the attribute."""

    def __init__(self, module: nn.Module, v_th: float, surrogate: Surrogate) -> None:
        """Read from `module`, whose threshold and surrogate are these."""
        super().__init__(module)
        self._v_th, self._surrogate = v_th, surrogate
        self._left: Tensor | None = None  # the potential that the last call left
        self._potentials: list[Tensor] = []  # of the call under way

    @property
    @override
    def v_th(self) -> float:
        return self._v_th

    @property
    @override
    def strict(self) -> bool:
        """Both frameworks that are read so compare with `>`."""
        return True

    @property
    @override
    def surrogate(self) -> Surrogate:
        return self._surrogate

    @abstractmethod
    def potential(self, *arguments: Any) -> Tensor:
        """The pre-reset potential that the function decides by, from its arguments."""

    @abstractmethod
    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
        """The potential that a call of the layer starts from; None where it starts from rest."""

    @abstractmethod
    def left(self, output: Any) -> Tensor:
        """The potential that a call left."""

    @abstractmethod
    def at_rest(self, start: Tensor, v: Tensor) -> bool:
        """Whether the potential that a call was given is that of rest."""

    @property
    @abstractmethod
    def threshold(self) -> Tensor:
        """The threshold in force, one number."""

    @property
    def factor(self) -> Tensor | float:
        """What a spike counts in the layer's output."""
        return 1.0

    @override
    def watch(self, observer: Observer) -> Callable[[], None]:
        module, name = self.module, self.function
        # An instance's own attribute, or None where its class's shows.
        of_instance, function = vars(module).get(name), getattr(module, name)
        start: Tensor | None = None

        @wraps(function)
        def looked_at(*arguments: Any) -> Any:
            with torch.no_grad():
                self._potentials.append(self.potential(*arguments).detach())
            return function(*arguments)

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            nonlocal start
            start, self._potentials = self.given(args, kwargs), []

        @torch.no_grad()
        def after(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            nonlocal start
            current = args[0] if args else next(iter(kwargs.values()))
            observer(self._read(current, output[0] if isinstance(output, tuple) else output, start))
            # Detached: its memory is needed to know it again, its graph is not.
            self._left, self._potentials, start = self.left(output).detach(), [], None

        hooks = (
            module.register_forward_pre_hook(before, with_kwargs=True),
            module.register_forward_hook(after, with_kwargs=True),
        )
        setattr(module, name, looked_at)

        def stop() -> None:
            for hook in hooks:
                hook.remove()
            delattr(module, name)
            if of_instance is not None:
                setattr(module, name, of_instance)

        return stop

    def _read(self, current: Tensor, spikes: Tensor, start: Tensor | None) -> Reading:
        emitted = spikes.unsqueeze(0) if self.stepped else spikes
        v = torch.stack(self._potentials).expand_as(emitted)
        v_th = self.threshold.detach().to(v).reshape(1)
        # Handed back or kept, detached or not: what the last call left is the same memory.
        same = (
            start is not None
            and self._left is not None
            and start.shape == self._left.shape
            and start.data_ptr() == self._left.data_ptr()
        )
        return Reading(
            current,
            v,
            v.new_ones(len(v)),
            v_th.expand(len(v)),
            fresh=not same and (start is None or self.at_rest(start, v[0])),
            goes_on=same and self.stepped,
            refutation=refutation((v > v_th) * self.factor, emitted),
        )
