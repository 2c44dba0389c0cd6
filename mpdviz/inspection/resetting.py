"""A network put back to rest before a sequence: by its framework's reset, and to what it was at first."""

import inspect
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.inspection.theirs import said

_OF_EVERY_MODULE = frozenset(nn.Module().__dict__)
"""What torch itself keeps on a module: hooks, parameters, the mode."""


class Rest:
    """What a network is at rest, and the way back there.

    SpikingJelly's modules are reset as its `functional.reset_net` does, snnTorch's by `reset_mem`, however
    deep they lie. Of code written by hand only what it keeps is known: attributes that are tensors, numbers,
    None or containers of such, and buffers that a forward in evaluation mode changes. They become fresh
    copies of what they were before the first forward; what was not changed is left alone, aliases included.
    Other buffers that a forward in training mode changes, as batch norm does, stay as they have become.
    """

    def __init__(self, network: nn.Module) -> None:
        """Remember `network` as it is now, on the device that it will run on."""
        modules = list(_modules(network))
        self._resets = list(_framework_resets(modules))
        self._reset()
        memo: dict[int, Any] = {}
        self._attributes = [_Kept(module.__dict__, memo, _OF_EVERY_MODULE) for module in modules]
        self._buffers = [(module, _Kept(module._buffers, memo)) for module in modules]
        self._states: set[tuple[int, str]] = set()

    def restore(self) -> None:
        """Put the network back to rest, in the mode in which it has just run.

        Raises:
            BadInput: its own reset fails.
        """
        memo: dict[int, Any] = {}
        for kept in self._attributes:
            kept.put_back(kept.changed(), memo)
        for number, (module, kept) in enumerate(self._buffers):
            changed = kept.changed()
            if not module.training:
                self._states |= {(number, name) for name in changed}
            states = [name for name in changed if (number, name) in self._states]
            kept.put_back(states, memo)
            kept.take_up([name for name in changed if name not in states])
        self._reset()

    def take_up(self) -> None:
        """Take buffers as they are now, filled from a file, for what they are at rest, known states apart."""
        for number, (_, kept) in enumerate(self._buffers):
            kept.take_up([name for name in kept.changed() if (number, name) not in self._states])

    @property
    def left(self) -> bool:
        """Whether the network keeps something from call to call: whether it is not as it was at rest."""
        return any(kept.changed() for kept in (*self._attributes, *(kept for _, kept in self._buffers)))

    def _reset(self) -> None:
        for reset in self._resets:
            try:
                reset()
            except Exception as error:  # whatever their code raises
                raise BadInput(f"resetting the model: {said(error)}", "see to its `reset`") from None


class _Kept:
    """The values of a name space of a module as they were."""

    def __init__(
        self, values: dict[str, Any], memo: dict[int, Any], others: frozenset[str] = frozenset()
    ) -> None:
        self._values = values
        self._then = {
            name: value for name, value in values.items() if name not in others and _is_state(value)
        }
        self._others = others | (values.keys() - self._then.keys())
        self._copies = {name: _copied(value, memo) for name, value in self._then.items()}
        # The values themselves stay alive in these, so that no other gets their identity.
        self._marks = {name: _mark(value) for name, value in self._then.items()}

    def changed(self) -> list[str]:
        """Names whose values are others now, or that are new.

        What became a function or an object is no state: an observer put it there.
        """
        now = {name: value for name, value in self._values.items() if name not in self._others}
        gone = [name for name in self._then if name not in now]
        return gone + [
            name
            for name, value in now.items()
            if _is_state(value) and (name not in self._then or _mark(value) != self._marks[name])
        ]

    def put_back(self, names: list[str], memo: dict[int, Any]) -> None:
        """Give these names what they had; aliases of one tensor stay aliases, by `memo`."""
        for name in names:
            if name in self._then:
                value = self._values[name] = self._then[name] = _copied(self._copies[name], memo)
                self._marks[name] = _mark(value)
            else:
                del self._values[name]

    def take_up(self, names: list[str]) -> None:
        """Take what these names have now for what they are to have."""
        memo: dict[int, Any] = {}
        for name in names:
            if name not in self._values:
                for known in (self._then, self._copies, self._marks):
                    known.pop(name)
                continue
            value = self._then[name] = self._values[name]
            self._copies[name], self._marks[name] = _copied(value, memo), _mark(value)


class _Same:
    """Equal to itself alone, as tensors are not."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._version = None if tensor.is_inference() else tensor._version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and (
            self._tensor is other._tensor and self._version == other._version
        )

    __hash__ = None  # type: ignore[assignment]


def _modules(network: nn.Module) -> Iterator[nn.Module]:
    """Every module, those in plain lists included, which torch does not know of."""
    seen: set[nn.Module] = set()
    waiting = [network]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        yield module
        waiting += module.children()
        for value in module.__dict__.values():
            members = value.values() if isinstance(value, dict) else value
            if isinstance(value, list | tuple | dict):
                waiting += [member for member in members if isinstance(member, nn.Module)]


def _framework_resets(modules: list[nn.Module]) -> Iterator[Callable[[], object]]:
    """What the networks' authors call before a sequence."""
    jelly = any(_is_of("spikingjelly", module) for module in modules)
    for module in modules:
        if _is_of("snntorch", module):
            # Neurons of snnTorch have an attribute `reset` that is a tensor.
            names = ["reset_mem", *(name for name in dir(type(module)) if name.startswith("init_"))]
        else:
            names = ["reset"] if jelly else []
        found = (getattr(module, name, None) for name in names)
        yield from [reset for reset in found if callable(reset) and _takes_nothing(reset)][:1]


def _is_of(package: str, module: nn.Module) -> bool:
    return any(base.__module__.partition(".")[0] == package for base in type(module).__mro__)


def _takes_nothing(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def _is_state(value: Any) -> bool:
    if isinstance(value, list | tuple | deque):
        return all(map(_is_state, value))
    if isinstance(value, dict):
        return all(map(_is_state, value.values()))
    return value is None or isinstance(value, Tensor | bool | int | float | complex | str)


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    """A copy that shares nothing with `value`, without its history."""
    if isinstance(value, Tensor):
        if id(value) not in memo:
            memo[id(value)] = value.detach().clone()
        return memo[id(value)]
    if isinstance(value, deque):
        return deque((_copied(member, memo) for member in value), value.maxlen)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_copied(member, memo) for member in value))
    if isinstance(value, list | tuple):
        return type(value)([_copied(member, memo) for member in value])
    if isinstance(value, dict):
        copy = value.copy()  # an ordered or a default dict stays one
        copy.update({name: _copied(member, memo) for name, member in value.items()})
        return copy
    return value


def _mark(value: Any) -> Any:
    """What tells whether a value is the same one, unchanged."""
    if isinstance(value, Tensor):
        return _Same(value)
    if isinstance(value, list | tuple | deque):
        return [_mark(member) for member in value]
    if isinstance(value, dict):
        return {name: _mark(member) for name, member in value.items()}
    return repr(value)  # NaN is unequal to itself
