"""Neuron layers of every framework. A new one is a file here, with `adapt`, and a line in the registry.

A framework is imported only for a model that holds modules of it.
"""

from importlib import import_module

from torch import nn

from mpdviz.errors import BadInput
from mpdviz.recording.adapters.base import Adapter, Reading

__all__ = ["Adapter", "Reading", "find"]

_REGISTRY = {"mpdviz": "native", "spikingjelly": "spikingjelly", "snntorch": "snntorch", "norse": "norse"}
"""Top-level package of a module's class, or of one of its bases -> the file here that reads its neurons."""


def find(model: nn.Module) -> dict[str, Adapter]:
    """How to read each neuron layer of `model`, by the name of the module.

    Raises:
        BadInput: a neuron that cannot be read faithfully, or no neurons at all.
    """
    found = {}
    for name, module in model.named_modules():
        packages = {base.__module__.partition(".")[0] for base in type(module).__mro__}
        for package in packages & _REGISTRY.keys():
            adapter = import_module(f"{__name__}.{_REGISTRY[package]}").adapt(module)
            if adapter is None:
                continue
            if not adapter.v_th > 0:
                raise BadInput(
                    f"the neurons of {name or type(module).__name__} have the threshold {adapter.v_th:g}",
                    "shift their potentials, so that the threshold is positive",
                )
            found[name] = adapter
    if not found:
        raise BadInput(
            f"{type(model).__name__} holds no neurons that can be read",
            "give a model with neurons of mpdviz, SpikingJelly, snnTorch or Norse",
        )
    return found
