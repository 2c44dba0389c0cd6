"""Our own neurons, which show every forward to who reads them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, Self

from torch import Tensor, nn
from typing_extensions import override

from mpdviz.neurons import Neuron
from mpdviz.recording.adapters.base import Adapter, Carries
from mpdviz.recording.measure.reading import Reading
from mpdviz.recording.trail import Call
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
    def reset(self) -> str:
        return self.module.dynamics.reset

    @property
    @override
    def unknown(self) -> Mapping[str, str]:
        return self.module.dynamics.unknown

    @property
    @override
    def factor(self) -> float:
        return self.module.dynamics.factor

    @property
    @override
    def predictable(self) -> bool:
        return not self.module.mixed and self.module.dynamics.predictable

    @override
    def current(self, call: Call) -> Tensor | None:
        # Neurons that weigh timesteps by a matrix of their own are driven by what they weigh.
        first = call.inputs[0] if call.inputs else None
        return first if isinstance(first, Tensor) else None

    def watch(self, observer: Callable[[Reading], None]) -> Callable[[], None]:
        """Call `observer` after every call of the layer until the returned function is called."""
        read = partial(self._read, observer)
        self.module.readers.append(read)
        return partial(self.module.readers.remove, read)

    def _read(
        self,
        observer: Callable[[Reading], None],
        current: Tensor,
        v: Tensor | None,
        spikes: Tensor,
        kappa: Tensor,
        v_th: Tensor,
        shapes: Sequence[Surrogate],
    ) -> None:
        module = self.module
        dynamics = module.dynamics  # as of now: a learned decay moves on
        observer(
            Reading(
                current,
                v,
                spikes,
                kappa,
                v_th,
                tuple(shapes),
                unit=module.v_th,
                strict=dynamics.strict,
                carries=dynamics.carries,
                floor=dynamics.floor,
                dynamics=dynamics,
            )
        )
