"""Neuron layers of every framework. A new one is a file here, with its `Adapter`, and a line in the registry.

A framework is imported only for a model that holds modules of it.
"""

from torch import nn

from mpdviz.errors import BadInput
from mpdviz.recording.adapters.base import Adapter, Reading
from mpdviz.recording.adapters.declared import Declared, register
from mpdviz.registry import Registry

__all__ = ["REGISTRY", "Adapter", "Reading", "find", "register"]

REGISTRY: Registry[type[Adapter]] = Registry(
    "adapter",
    "mpdviz.adapters",
    {
        "mpdviz": "mpdviz.recording.adapters.native:Native",
        "spikingjelly": "mpdviz.recording.adapters.spikingjelly:SpikingJelly",
        "snntorch": "mpdviz.recording.adapters.snntorch:SnnTorch",
        "norse": "mpdviz.recording.adapters.norse:Norse",
    },
    Adapter,
)
"""Who reads neurons, by the top-level package of a module's class or of one of its bases."""


def find(model: nn.Module) -> dict[str, Adapter]:
    """How to read each neuron layer of `model`, by the path of the module.

    Raises:
        BadInput: a neuron that cannot be read faithfully, or no neurons at all.
    """
    found = {}
    for path, module in model.named_modules():
        adapter = _adapt(module)
        if adapter is None:
            continue
        if not adapter.v_th > 0:
            raise BadInput(
                f"the neurons of {path or type(module).__name__} have the threshold {adapter.v_th:g}",
                "shift their potentials, so that the threshold is positive",
            )
        found[path] = adapter
    if not found:
        raise BadInput(
            f"{type(model).__name__} holds no neurons that can be read",
            f"give a model with neurons of {', '.join(REGISTRY)}, or `mpdviz.register` your own",
        )
    return found


def _adapt(module: nn.Module) -> Adapter | None:
    """The user's own word comes first."""
    packages = dict.fromkeys(base.__module__.partition(".")[0] for base in type(module).__mro__)
    kinds: list[type[Adapter]] = [Declared]
    kinds += [REGISTRY[package] for package in packages if package in REGISTRY]
    found = (kind.adapt(module) for kind in kinds)
    return next((adapter for adapter in found if adapter is not None), None)
