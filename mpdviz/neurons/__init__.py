"""Spiking neurons: LIF with a constant decay, PLIF with a learned one. A new one is a file and a line here.

They run all timesteps in one call on time-major currents `[T, ...]` and start each call from rest.
"""

from collections.abc import Callable

from mpdviz.neurons.base import Dynamics, Neuron, Observer
from mpdviz.neurons.lif import LIF
from mpdviz.neurons.plif import PLIF
from mpdviz.registry import Registry
from mpdviz.surrogates import Surrogate

__all__ = ["LIF", "NEURONS", "PLIF", "Dynamics", "Neuron", "Observer", "get"]

NEURONS: Registry[type[Neuron]] = Registry(
    "neuron",
    "mpdviz.neurons",
    {"lif": "mpdviz.neurons.lif:LIF", "plif": "mpdviz.neurons.plif:PLIF"},
    Neuron,
)


def get(kind: str, *, decay: float = 0.2, v_th: float = 0.5, surrogate: Surrogate | None = None) -> Neuron:
    """A neuron layer of the given kind; `decay` is where a learned one starts.

    Raises:
        BadInput: unknown kind, or constants out of range.
    """
    make: Callable[..., Neuron] = NEURONS.find(kind)
    return make(decay, v_th, surrogate)
