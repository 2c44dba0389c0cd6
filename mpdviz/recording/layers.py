"""The layers of a recording: which place of the network is which layer, and what each is called."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz.neurons import Neuron
from mpdviz.recording.adapters import Adapter
from mpdviz.recording.adapters.base import Carries
from mpdviz.recording.measure.step import Step
from mpdviz.recording.sums import Row, Sums
from mpdviz.recording.trail import SEQUENTIAL, Call, Position, Trail
from mpdviz.surrogates.probed import SpikeFunction

LOOKED = 3
"""Passes of potentials that differ, after which a place is no longer held to be another one's copy."""


def shown(path: str, module: nn.Module) -> str:
    """What tables call a module that fires: its path, or its class where it is the network itself."""
    # A layer of ours holds its neurons as `neuron`.
    return (path.removesuffix(".neuron") if isinstance(module, Neuron) else path) or type(module).__name__


@dataclass(eq=False)
class Layer:
    """A neuron layer: one place at which potentials become spikes."""

    path: str
    """Of the innermost module, as `named_modules` has it; the class's name where that is the root."""
    place: int
    """Where it fires, see `Trail.source`."""
    module: int
    """That module, by identity."""
    adapter: Adapter | None
    sums: Sums
    drivers: dict[tuple[int, Position], int] = field(default_factory=dict)
    """Synapses called before it, by the position they were called from; see `Layers.at`."""
    driver: str = ""
    """Of these, the path of the one that tells it from another layer of the same place."""
    passes: int = 0
    last: Tensor | None = None
    """What the spike function was last called with, as long as that may be evaluated again."""
    live: bool = False
    """Whether a gradient may come back through its spikes."""
    refuted: str = ""
    """Why it is not to be believed."""
    lost_reach: bool = False
    """Whether samples changed within a sequence, so that runs could not be followed."""
    _measured: tuple[Any, Step, Row] | None = None

    def measured_by(
        self, function: SpikeFunction, offset: float, widths: tuple[float, ...], carries: Carries | None
    ) -> tuple[Step, Row]:
        """What a timestep is measured against.

        Args:
            function: the spike function.
            offset: what its argument lacks of the potential.
            widths: what-if widths kappa.
            carries: how gradients come back; None: not known.
        """
        key = (function, offset, carries)
        if self._measured is None or self._measured[0] != key:
            row = Row.of(function, offset)
            unit = self.sums.unit or (row.threshold if row.threshold > 0 else 1.0)
            half = (row.upper - row.threshold) / row.kappa
            half = 0.5 if half != half else half  # of an unknown surrogate: a rectangle's
            others = tuple(width * half for width in widths)
            self._measured = key, Step(function, unit, others, carries or (True, False)), row
        return self._measured[1:]

    def forget(self) -> None:
        """Forget what was recorded."""
        self.sums, self.passes, self.last, self._measured = Sums(), 0, None, None


class Layers:
    """Every place at which potentials became spikes, in the order in which they first did."""

    def __init__(self, trail: Trail) -> None:
        """Know none yet."""
        self._trail = trail
        self._layers: list[Layer] = []
        self._at: dict[int, list[Layer]] = {}
        self._copies: set[int] = set()

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def at(self, place: int, call: Call, adapter: Adapter | None) -> Layer | None:
        """The layer of a place; None where it only evaluates once more what another place fired by.

        The same place is passed once a timestep; but where a loop over layers passes it, other synapses are
        called from one and the same position in between.
        """
        if place in self._copies:
            return None
        drivers = {
            (outer.place, position): module
            for outer in self._trail.stack[-2:]
            for position, module in outer.drivers.items()
        }
        here = self._at.setdefault(place, [])
        for layer in here:
            if all(layer.drivers.get(position, module) == module for position, module in drivers.items()):
                layer.drivers |= drivers
                return layer
        if not here:
            other = self._alternative(place, call)
            if other is not None:
                self._at[place] = [other]
                return other
        layer = Layer(shown(call.path, call.module), place, id(call.module), adapter, Sums(), drivers)
        for other in here[:1]:
            differs = next(at for at, module in drivers.items() if other.drivers.get(at, module) != module)
            layer.driver = self._trail.path_of(drivers[differs])
            other.driver = other.driver or self._trail.path_of(other.drivers[differs])
        here.append(layer)
        self._layers.append(layer)
        return layer

    def is_copy(self, layer: Layer, place: int, u: Tensor, *, live: bool) -> bool:
        """Whether `u` is what another layer of the module fired by: evaluated again, for the reset.

        Looked at in the first few passes that can tell (potentials that are all the same cannot); one that
        turns out to be a copy is forgotten. Of two it is the one that no gradient comes back through.

        Args:
            layer: the layer.
            place: where it fires.
            u: what it fires by.
            live: whether a gradient may come back through its spikes.
        """
        layer.live |= live
        others = [other for other in self._layers if other.module == layer.module and other is not layer]
        if layer.passes < LOOKED and u.numel() and bool((u != u.flatten()[0]).any()):
            for other in others:
                if other.last is not None and other.last.shape == u.shape and torch.equal(other.last, u):
                    copy = other if layer.live and not other.live else layer
                    self._copies.add(copy.place)
                    self._layers.remove(copy)
                    if copy is layer:
                        return True
                    break
            layer.passes += 1
        layer.last = u if others or layer.passes < LOOKED else None
        return False

    def forget_last(self) -> None:
        """Keep no potentials alive but those that the next forward's may be copies of."""
        looking = {layer.module for layer in self._layers if layer.passes < LOOKED}
        for layer in self._layers:
            if layer.module not in looking:
                layer.last = None

    def _alternative(self, place: int, call: Call) -> Layer | None:
        """The layer of this module that fires at the other branch of an `if`: never both at one timestep."""
        code = self._trail.source(place)
        for known, layers in self._at.items():
            if known == place or not layers or layers[0].module != id(call.module):
                continue
            other = self._trail.source(known)
            apart = next((i for i, (a, b) in enumerate(zip(code, other, strict=False)) if a != b), None)
            if apart is None or code[apart][0] is not other[apart][0]:
                continue
            if _exclude_each_other(code[apart][0], code[apart][1], other[apart][1]):
                return layers[0]
        return None

    def number(self, layer: Layer) -> int:
        """From 1, in the order in which layers first ran."""
        return self._layers.index(layer) + 1

    def name(self, layer: Layer) -> str:
        """What tables call it: the module's path, and the place where the module serves several."""
        same = [other for other in self._layers if other.path == layer.path]
        if len(same) == 1:
            return layer.path
        places = [self._where(other, same) for other in same]
        at = same.index(layer)
        again = places[:at].count(places[at])
        return f"{layer.path}@{places[at]}" + (f"#{again + 1}" if places.count(places[at]) > 1 else "")

    def _where(self, layer: Layer, same: list[Layer]) -> str:
        """`function:line` of the first position, from the outside in, that tells it from the others."""
        if layer.driver:
            return layer.driver
        mine = self._trail.source(layer.place)
        for i, (code, at) in enumerate(mine):
            others = (self._trail.source(other.place) for other in same if other is not layer)
            if any(i >= len(other) or other[i] != (code, at) for other in others):
                if code is SEQUENTIAL:
                    return str(at + 1)  # of the places that it has there
                span = _span(code, at)
                return f"{code.co_name}:{span[0] if span else code.co_firstlineno}"
        return ""

    def goes_by(self, layer: Layer, name: str) -> bool:
        """Whether `name` means it: its module's path, which means all places of that, or its own name."""
        return name in (layer.path, self.name(layer))


def _span(code: CodeType, at: int) -> tuple[int, int] | None:
    """Line and column of an instruction."""
    for i, (line, _, column, _) in enumerate(code.co_positions()):
        if i == at // 2:
            return None if line is None or column is None else (line, column)
    return None


@cache
def _branches(
    code: CodeType,
) -> list[tuple[list[tuple[int, int, int, int]], list[tuple[int, int, int, int]]]]:
    """For each `if` in a function, where its two branches lie: first and last line and column."""
    try:
        lines, first = inspect.getsourcelines(code)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError, TypeError):
        return []
    indent = len(lines[0]) - len(lines[0].lstrip())

    def spans(nodes: list[ast.expr] | list[ast.stmt]) -> list[tuple[int, int, int, int]]:
        return [
            (
                node.lineno + first - 1,
                node.col_offset + indent,
                (node.end_lineno or node.lineno) + first - 1,
                (node.end_col_offset or 0) + indent,
            )
            for node in nodes
        ]

    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.If):
            found.append((spans(node.body), spans(node.orelse)))
        elif isinstance(node, ast.IfExp):
            found.append((spans([node.body]), spans([node.orelse])))
    return found


def _exclude_each_other(code: CodeType, one: int, other: int) -> bool:
    """Whether two positions of a function lie in different branches of one `if`."""
    here, there = _span(code, one), _span(code, other)
    if here is None or there is None:
        return False

    def within(point: tuple[int, int], spans: list[tuple[int, int, int, int]]) -> bool:
        return any((a, b) <= point <= (c, d) for a, b, c, d in spans)

    return any(
        (within(here, yes) and within(there, no)) or (within(here, no) and within(there, yes))
        for yes, no in _branches(code)
    )
