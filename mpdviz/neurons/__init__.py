"""Spiking neurons: leaky ones, and kinds whose forward differs. A new one is a file and a line here.

They run all timesteps in one call on time-major currents `[T, ...]` and start each call from rest.
"""

from collections.abc import Callable
from typing import Any

from mpdviz.errors import BadInput, unknown_name
from mpdviz.kernels import RESETS
from mpdviz.neurons.base import Dynamics, Neuron, Observer
from mpdviz.neurons.lif import LIF
from mpdviz.neurons.plif import PLIF
from mpdviz.registry import Registry
from mpdviz.surrogates import Surrogate

__all__ = ["LIF", "NEURONS", "PLIF", "Dynamics", "Neuron", "Observer", "get"]

NEURONS: Registry[type[Neuron]] = Registry(
    "neuron",
    "mpdviz.neurons",
    {
        "lif": "mpdviz.neurons.lif:LIF",
        "plif": "mpdviz.neurons.plif:PLIF",
        "klif": "mpdviz.neurons.klif:KLIF",
        "clif": "mpdviz.neurons.clif:CLIF",
        "psn": "mpdviz.neurons.psn:PSN",
    },
    Neuron,
)
DECAY, RESET = 0.2, "hard"
"""Of neurons that take a decay or a reset; others are given these alone, since they do not ask for them."""


def get(
    kind: str,
    *,
    decay: float = DECAY,
    v_th: float = 0.5,
    surrogate: Surrogate | None = None,
    reset: str = RESET,
    timesteps: int | None = None,
) -> Neuron:
    """A neuron layer of the given kind.

    Args:
        kind: one of `NEURONS`.
        decay: share of the potential kept from one timestep to the next; where a learned one starts.
        v_th: threshold.
        surrogate: shape of the spike's derivative; None: rectangular.
        reset: what a spike does to the potential, one of `kernels.RESETS`.
        timesteps: T, which some kinds are made for.

    Raises:
        BadInput: unknown kind or reset, constants out of range, or one that this kind does not take.
    """
    found = NEURONS.find(kind)
    if reset not in RESETS:
        raise unknown_name("reset", reset, RESETS)
    for name, given, default in (("decay", decay, DECAY), ("reset", reset, RESET)):
        if name not in found.takes and given != default:
            has = "has no decay" if name == "decay" else "resets in a way of its own"
            raise BadInput(f"neuron {kind!r} {has}: `{name}` {given}", f"leave `{name}` out")
    if "timesteps" in found.takes and timesteps is None:
        raise BadInput(f"neuron {kind!r} is made for one T", "give `timesteps`")
    made = {"reset": RESETS[reset], "timesteps": timesteps}
    options: dict[str, Any] = {name: value for name, value in made.items() if name in found.takes}
    make: Callable[..., Neuron] = found
    return make(*([decay] if "decay" in found.takes else []), v_th, surrogate, **options)
