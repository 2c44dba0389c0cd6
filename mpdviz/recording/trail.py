"""Where in a network something happens: which module is running, and from which place of the source.

A place is made of the modules whose forwards are under way and the positions in their code between them. One
neuron module that serves six places of a network is six layers; a place passed once a timestep is one.

Nothing is put on the network: the hooks are torch's global ones, and look modules up by their identity.
"""

import dis
import os
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.parameter import is_lazy

Start = Literal["rest", "goes on", "elsewhere"]
"""Where neurons start: from rest, from where their last call left them, or from other potentials."""
Position = tuple[int, int]
"""A position in the source: code by identity, instruction."""
Chain = tuple[Position, ...]
"""Positions from the outside in."""
_TORCH, _MODULES, _OURS = (
    str(Path(file).parent) + os.sep for file in (torch.__file__, torch_module.__file__, __file__)
)
SEQUENTIAL = nn.Sequential.forward.__code__


@dataclass(eq=False)
class Call:
    """A forward of a module under way."""

    module: nn.Module
    path: str
    place: int
    """Where it was called, see `Trail.source`."""
    frame: FrameType
    """Torch's own, from which that forward is called."""
    inputs: tuple[Any, ...]
    turns: dict[int, int] = field(default_factory=dict)
    """Calls from within it of modules that a sequence holds several times, by identity."""
    drivers: dict[Position, int] = field(default_factory=dict)
    """The synapses last called from each position of its code, modules by identity."""
    start: Start | None = None
    """Where its neurons start; None: not known, or no neurons."""
    number: int = 0
    """Of the call, in its thread."""
    uncalled: dict[int, "Call"] = field(default_factory=dict)
    """What stands for calls of modules whose code is run without calling them, by identity."""

    def turn(self, module: nn.Module) -> int:
        """Which of its places in this `nn.Sequential` a module is at: that loops over modules, not time."""
        places = list(self.module._modules.values()).count(module)
        if places <= 1:
            return 0
        turn = self.turns[id(module)] = self.turns.get(id(module), -1) + 1
        return turn % places

    fired: dict[int, int] = field(default_factory=dict)
    """How often each layer fired in it, layers by identity."""


class _Local(threading.local):
    def __init__(self) -> None:
        self.stack: list[Call] = []
        self.calls = 0


class _Away(threading.local):
    depth = 0


AWAY = _Away()


@contextmanager
def unseen() -> Iterator[None]:
    """What runs inside the block, in this thread, is nobody's network: our own probing."""
    AWAY.depth += 1
    try:
        yield
    finally:
        AWAY.depth -= 1


def looking_away() -> bool:
    """Whether that is so now; what runs within a backward pass has run before, as with checkpointing."""
    return AWAY.depth > 0 or torch._C._current_graph_task_id() != -1


class Trail:
    """Follows the forwards of one network, each thread on its own."""

    def __init__(self, model: nn.Module, *, heard: Callable[[nn.Module], bool] = lambda _: True) -> None:
        """Know the modules of `model`; nothing is followed yet.

        Args:
            model: the network.
            heard: whether anybody wants to be told of a module that torch itself makes of no others.
        """
        self._modules: dict[int, tuple[str, nn.Module]] = {
            id(module): (path, module) for path, module in model.named_modules()
        }
        self._synaptic = {key for key, (_, module) in self._modules.items() if _has_synapses(module)}
        # Nothing fires in these, and they call no others.
        self._unheard = {
            key for key, (_, module) in self._modules.items() if _is_torchs_leaf(module) and not heard(module)
        }
        self._interned: dict[tuple[int, Chain, int], int] = {}
        self._sources: list[tuple[int, Chain, int]] = []
        self._codes: dict[int, CodeType] = {}
        self._positions: dict[Position, Position | None] = {}  # by code and the last instruction
        self._lock = threading.Lock()
        self._local = _Local()
        self._handles: list[Any] = []
        self.on_begin: list[Callable[[], None]] = []
        """Called when a forward begins from outside."""
        self.on_enter: list[Callable[[Call], None]] = []
        """Called when a module of the network begins its forward."""
        self.on_leave: list[Callable[[Call, Any], None]] = []
        """Called with a module's output; None where its forward failed."""
        self.on_end: list[Callable[[Any], None]] = []
        """Called with the output of a forward from outside; None where it failed."""

    @property
    def stack(self) -> list[Call]:
        """The forwards under way in this thread, the innermost last."""
        return self._local.stack

    @property
    def calls(self) -> int:
        """How many forwards have begun in this thread."""
        return self._local.calls

    def attach(self) -> None:
        """Begin to follow."""
        self._handles = [
            torch_module.register_module_forward_pre_hook(self._enter),
            torch_module.register_module_forward_hook(self._leave, always_call=True),
        ]

    def detach(self) -> None:
        """Follow no longer."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._local = [], _Local()

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        known = self._modules.get(id(module))
        if known is None or looking_away():
            return
        stack, frame = self._local.stack, sys._getframe(1)
        if stack and id(module) in self._unheard:
            self._local.calls += 1
            if id(module) in self._synaptic and (chain := self._chain(frame, stack[-1])):
                stack[-1].drivers[self._place_in(stack[-1], chain, module)[-1]] = id(module)
            return
        chain = None
        while stack and (chain := self._chain(frame, stack[-1])) is None:
            stack.pop()  # an interruption ended it
        if not stack:
            for begin in self.on_begin:
                begin()
            place = self._intern(-1, (), id(module))
        else:
            parent = stack[-1]
            chain = self._place_in(parent, chain or (), module)
            if chain and id(module) in self._synaptic:
                parent.drivers[chain[-1]] = id(module)
            place = self._intern(parent.place, chain, id(module))
        self._local.calls += 1
        call = Call(module, known[0], place, frame, inputs, number=self._local.calls)
        stack.append(call)
        for enter in self.on_enter:
            enter(call)

    @staticmethod
    def _place_in(parent: Call, chain: Chain, module: nn.Module) -> Chain:
        """`chain`, by the module's turn where an `nn.Sequential` calls it."""
        if chain and chain[-1][0] == id(SEQUENTIAL):
            return (*chain[:-1], (id(SEQUENTIAL), parent.turn(module)))
        return chain

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        del inputs
        stack = self._local.stack
        if looking_away() or not any(call.module is module for call in stack):
            return
        while (call := stack.pop()).module is not module:
            pass  # an interruption ended it
        for leave in self.on_leave:
            leave(call, output)
        if not stack:
            for end in self.on_end:
                end(output)

    def uncalled(self, module: nn.Module, within: Call) -> Call:
        """What stands for a call of a module whose code is run within another one's without calling it."""
        known = within.uncalled.get(id(module))
        if known is None:
            path, _ = self._modules[id(module)]
            place = self._intern(within.place, (), id(module))
            known = within.uncalled[id(module)] = Call(
                module, path, place, within.frame, (), number=within.number
            )
        return known

    def here(self, frame: FrameType | None) -> int | None:
        """The place that `frame` runs at; None outside of the network."""
        stack = self._local.stack
        if not stack:
            return None
        chain = self._chain(frame, stack[-1])
        return None if chain is None else self._intern(stack[-1].place, chain, 0)

    def _chain(self, frame: FrameType | None, call: Call) -> Chain | None:
        """The positions of the frames from that of a module's forward down to `frame`."""
        chain = []
        while frame is not call.frame:
            if frame is None:
                return None
            at = (id(frame.f_code), frame.f_lasti)
            position = self._positions[at] if at in self._positions else self._positioned(frame.f_code, *at)
            if position is not None:
                chain.append(position)
            frame = frame.f_back
        return tuple(reversed(chain))

    def _positioned(self, code: CodeType, identity: int, at: int) -> Position | None:
        """A position that was not met before; None in code that is not the network's."""
        self._codes[identity] = code  # kept, so that no other code gets its identity
        position = (identity, _instruction(code, at)) if _counts(code) else None
        self._positions[identity, at] = position
        return position

    def _intern(self, parent: int, chain: Chain, module: int) -> int:
        key = (parent, chain, module)
        place = self._interned.get(key)
        if place is None:
            with self._lock:
                place = self._interned.setdefault(key, len(self._sources))
                if place == len(self._sources):
                    self._sources.append(key)
        return place

    def source(self, place: int) -> list[tuple[CodeType, int]]:
        """The code and instruction of each frame that leads to a place, from the outside in."""
        positions: list[tuple[CodeType, int]] = []
        while place >= 0:
            place, chain, _ = self._sources[place]
            positions[:0] = [(self._codes[code], at) for code, at in chain]
        return positions

    def path_of(self, module: int) -> str:
        """The path of a module that is given by its identity."""
        path, _ = self._modules[module]
        return path


def _counts(code: CodeType) -> bool:
    """Whether a function is the network's: torch's inner workings, and ours, come and go between calls."""
    file = code.co_filename
    if file.startswith(_TORCH):
        return file.startswith(_MODULES) and file != torch_module.__file__
    return not file.startswith(_OURS)


def _instruction(code: CodeType, at: int) -> int:
    """Where an instruction lies that is under way at `at`.

    Once it has run a few times the interpreter may do one and the same call a little earlier, in the
    instruction that prepares it, or say that it is at what it keeps behind it.
    """
    instructions = [(i.offset, i.opname) for i in dis.get_instructions(code)]
    last = bisect_right(instructions, at, key=lambda instruction: instruction[0]) - 1
    if instructions[last][1] == "PRECALL":  # of Python 3.11
        last += 1
    return instructions[last][0]


def _is_torchs_leaf(module: nn.Module) -> bool:
    # An instance may have a forward of its own.
    own = type(module).__module__.startswith("torch.nn.modules.") and "forward" not in vars(module)
    return own and not module._modules


def _has_synapses(module: nn.Module) -> bool:
    """Whether it is, or holds, a matrix of weights; a norm's weights are vectors."""
    return any(is_lazy(parameter) or parameter.dim() > 1 for parameter in module.parameters())
