"""Our own neurons."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from mpdviz.neurons import Neuron
from mpdviz.recording.adapters.base import Adapter, Observer, Reading
from mpdviz.surrogates import Surrogate


def adapt(module: nn.Module) -> Adapter | None:
    """How to read `module`; None where it is no neuron layer."""
    return _Native(module) if isinstance(module, Neuron) else None


class _Native(Adapter):
    module: Neuron

    @property
    def v_th(self) -> float:
        return self.module.v_th

    @property
    def decay(self) -> float:
        return self.module.decay_value

    @property
    def surrogate(self) -> Surrogate:
        return self.module.surrogate

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
    observer(Reading(current, v, kappa, v_th))
