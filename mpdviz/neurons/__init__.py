"""Spiking neurons: LIF with a constant decay, PLIF with a learned one.

Both run all timesteps in one call on time-major currents `[T, ...]` and start each call from rest.
"""

from mpdviz.errors import unknown_name
from mpdviz.neurons.base import Neuron, Observer
from mpdviz.neurons.lif import LIF
from mpdviz.neurons.plif import PLIF
from mpdviz.surrogates import Surrogate

__all__ = ["KINDS", "LIF", "PLIF", "Neuron", "Observer", "get"]

KINDS: tuple[str, ...] = (LIF.kind, PLIF.kind)


def get(kind: str, *, decay: float = 0.2, v_th: float = 0.5, surrogate: Surrogate | None = None) -> Neuron:
    """A neuron layer of the given kind; `decay` is where a learned one starts.

    Raises:
        BadInput: unknown kind, or constants out of range.
    """
    if kind == LIF.kind:
        return LIF(decay, v_th, surrogate)
    if kind == PLIF.kind:
        return PLIF(decay, v_th, surrogate)
    raise unknown_name("neuron", kind, KINDS)
