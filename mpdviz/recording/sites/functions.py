"""Every call of a `torch.autograd.Function`, looked at while a recording lasts.

`Function.apply` hands on to the class below it by `super()`; a method put there sees every class, those born
later and those bound long before (`self.act = F.apply`), under any gradient mode.
"""

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from torch.autograd import function as torch_function

from mpdviz.recording.trail import looking_away

_BASE: Any = torch_function._SingleLevelFunction
Look = Callable[[type, tuple[Any, ...], Any, FrameType | None], None]
"""Called with the class, the arguments, the result, and the frame that called `apply`."""
Count = Callable[[], int]
"""How many modules have run."""
_looks: list[tuple[Look, Count]] = []


class _Calls(threading.local):
    number = 0


_calls = _Calls()
_lock = threading.Lock()


def watch(look: Look, ran: Count = lambda: 0) -> Callable[[], None]:
    """Call `look` after every call of a function; returns what ends that.

    A function that runs modules, as checkpointing does, fires no neuron: what it returned was fired inside.

    Args:
        look: see `Look`.
        ran: how many modules have run in this thread.
    """
    watched = look, ran
    with _lock:
        _looks.append(watched)
        _BASE.apply = classmethod(_apply)

    def stop() -> None:
        with _lock:
            _looks.remove(watched)
            if not _looks:
                del _BASE.apply

    return stop


def _apply(cls: type, *args: Any) -> Any:
    before, calls = [(look, ran, ran()) for look, ran in tuple(_looks)], _calls.number
    result = super(_BASE, cls).apply(*args)
    within = _calls.number - calls
    _calls.number += 1
    # One that calls others, as checkpointing does with a network, is no spike function: never try it out.
    if not within and not looking_away() and not cls.__module__.startswith("torch."):
        # This function's caller is `Function.apply`, whose caller is the code that spikes.
        frame = sys._getframe(1).f_back
        for look, ran, count in before:
            if ran() == count:
                look(cls, args, result, frame)
    return result
