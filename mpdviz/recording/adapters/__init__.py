"""What is known of the neurons of every framework. A new one is a file here and a line in the registry.

A framework is imported only for a model that holds modules of it.
"""

from torch import nn

from mpdviz.recording.adapters.base import Adapter, Potentials
from mpdviz.recording.adapters.declared import Declared, register
from mpdviz.recording.adapters.native import Native
from mpdviz.registry import Registry

__all__ = ["REGISTRY", "Adapter", "Native", "Potentials", "find", "register"]

REGISTRY: Registry[type[Adapter]] = Registry(
    "adapter",
    "mpdviz.adapters",
    {
        "mpdviz": "mpdviz.recording.adapters.native:Native",
        "spikingjelly": "mpdviz.recording.adapters.spikingjelly:SpikingJelly",
        "snntorch": "mpdviz.recording.adapters.snntorch:SnnTorch",
        "norse": "mpdviz.recording.adapters.norse:Norse",
        "sinabs": "mpdviz.recording.adapters.sinabs:Sinabs",
    },
    Adapter,
)
"""Who knows neurons, by the top-level package of a module's class or of one of its bases."""


def find(model: nn.Module) -> dict[str, Adapter]:
    """What is known of each neuron layer of `model`, by the path of the module; empty where nothing is."""
    adapters = ((path, _adapt(module)) for path, module in model.named_modules())
    return {path: adapter for path, adapter in adapters if adapter is not None}


def _adapt(module: nn.Module) -> Adapter | None:
    """The user's own word comes first."""
    packages = dict.fromkeys(base.__module__.partition(".")[0] for base in type(module).__mro__)
    kinds: list[type[Adapter]] = [Declared]
    kinds += [REGISTRY[package] for package in packages if package in REGISTRY]
    found = (kind.adapt(module) for kind in kinds)
    return next((adapter for adapter in found if adapter is not None), None)
