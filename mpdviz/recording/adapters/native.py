"""Our own neurons."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

from torch import Tensor, nn
from typing_extensions import override

from mpdviz.neurons import Neuron
from mpdviz.recording.adapters.base import Adapter, Observer, Reading
from mpdviz.surrogates import Surrogate


class Native(Adapter):
    """Reads a neuron layer through its observers."""

    module: Neuron

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        return cls(module) if isinstance(module, Neuron) else None

    @property
    @override
    def v_th(self) -> float:
        return self.module.v_th

    @property
    @override
    def decay(self) -> float:
        return self.module.decay_value

    @property
    @override
    def surrogate(self) -> Surrogate:
        return self.module.surrogate

    @property
    @override
    def strict(self) -> bool:
        return self.module.dynamics.strict

    @property
    @override
    def carries(self) -> tuple[bool, bool]:
        return self.module.dynamics.carries

    @property
    @override
    def predictable(self) -> bool:
        return self.carries == (True, False)

    @override
    def watch(self, observer: Observer) -> Callable[[], None]:
        read = partial(_read, observer)
        self.module.observers.append(read)
        return partial(self.module.observers.remove, read)


def _read(
    observer: Observer,
    current: Tensor,
    v: Tensor,
    spikes: Tensor,
    kappa: Tensor,
    v_th: Tensor,
    shapes: Sequence[Surrogate],
) -> None:
    del spikes  # v >= v_th says the same
    observer(Reading(current, v, kappa, v_th, shapes=tuple(shapes)))
