"""Our own neurons, which show all potentials of a forward to their observers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Self

from torch import Tensor, nn
from typing_extensions import override

from mpdviz.neurons import Neuron
from mpdviz.recording.adapters.base import Adapter, Carries
from mpdviz.recording.measure.reading import Reading
from mpdviz.surrogates import Surrogate


class Native(Adapter):
    """Knows a neuron layer of ours."""

    own: ClassVar[bool] = True
    module: Neuron

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        return cls(module) if isinstance(module, Neuron) else None

    @property
    @override
    def threshold(self) -> float:
        return self.module.v_th

    @property
    @override
    def decay(self) -> float:
        return self.module.decay_value

    @property
    @override
    def carries(self) -> Carries | None:
        # A reset by an analog value does neither.
        return None if self.module.mixed else self.module.dynamics.carries

    @property
    @override
    def predictable(self) -> bool:
        return self.carries == (True, False)

    def watch(self, observer: Callable[[Reading], None]) -> Callable[[], None]:
        """Call `observer` after every call of the layer until the returned function is called."""
        read = partial(self._read, observer)
        self.module.observers.append(read)
        return partial(self.module.observers.remove, read)

    def _read(
        self,
        observer: Callable[[Reading], None],
        current: Tensor,
        v: Tensor,
        spikes: Tensor,
        kappa: Tensor,
        v_th: Tensor,
        shapes: Sequence[Surrogate],
    ) -> None:
        module = self.module
        observer(
            Reading(
                current,
                v,
                spikes,
                kappa,
                v_th,
                tuple(shapes),
                unit=module.v_th,
                strict=module.dynamics.strict,
                carries=module.dynamics.carries,
            )
        )
