"""mpdviz: do my spiking neurons still get a gradient, and if not, where, when and why?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpdviz.api import Recording, load_recording, record
    from mpdviz.system.memory import keep_large_buffers

__all__ = ["Recording", "keep_large_buffers", "load_recording", "record"]


def __getattr__(name: str) -> Any:
    # torch takes a second to import; `mpdviz --help` should not wait for it.
    if name == "keep_large_buffers":
        return import_module("mpdviz.system.memory").keep_large_buffers
    if name in __all__:
        return getattr(import_module("mpdviz.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
