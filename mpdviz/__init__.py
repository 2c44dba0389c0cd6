"""mpdviz: do my spiking neurons still get a gradient, and if not, where, when and why?

    with mpdviz.record(network) as recording:
        network(images)
    recording.layer_table()

Everything below is imported when it is first asked for: torch takes a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpdviz import compare, data, figures, networks, neurons, strategies, surrogates
    from mpdviz.analysis.limits import Limits
    from mpdviz.api import Recording, load_recording
    from mpdviz.checkpoint import load as load_checkpoint
    from mpdviz.inspection import inspect
    from mpdviz.live import record
    from mpdviz.recording.adapters import register
    from mpdviz.system.memory import keep_large_buffers
    from mpdviz.training import train

__all__ = [
    "Limits",
    "Recording",
    "__version__",
    "compare",
    "data",
    "figures",
    "inspect",
    "keep_large_buffers",
    "load_checkpoint",
    "load_recording",
    "networks",
    "neurons",
    "record",
    "register",
    "strategies",
    "surrogates",
    "train",
]

_PLACES = {
    "Limits": "analysis.limits:Limits",
    "Recording": "api:Recording",
    "inspect": "inspection:inspect",
    "keep_large_buffers": "system.memory:keep_large_buffers",
    "load_checkpoint": "checkpoint:load",
    "load_recording": "api:load_recording",
    "record": "live:record",
    "register": "recording.adapters:register",
    "train": "training:train",
}
"""What is not a package of its own: place within mpdviz, and name there."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("mpdviz")
    if name in _PLACES:
        module, _, attribute = _PLACES[name].partition(":")
        return getattr(import_module(f"mpdviz.{module}"), attribute)
    if name in __all__:
        return import_module(f"mpdviz.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
