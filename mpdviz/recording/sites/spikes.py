"""Which calls of a function are spikes, and what the function does for the arguments of that call.

A spike function returns 0 or one height, of the shape of its first floating-point argument. What it does is
probed once for each set of its other arguments, and looked at again at each forward, since a slope may be
annealed behind its back.
"""

from collections import OrderedDict
from dataclasses import dataclass
from types import CellType
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz.recording.sites.arguments import by_identity, fingerprint, is_plain, live
from mpdviz.recording.sites.code import Code, Owner
from mpdviz.recording.trail import unseen
from mpdviz.surrogates.bisection import FARTHEST, NEAREST, bisected
from mpdviz.surrogates.probed import SpikeFunction, derivative_of, probe, shifted
from mpdviz.surrogates.steps import NotAStep, Probe, are_multiples

KEPT = 512
"""Sets of arguments that are remembered."""
MOST = 9
"""Levels up to which a result is held to be spikes that are not binary, and said to be left out."""
LOOKED = 256
"""Elements among which they are looked for first."""
FUSED = (
    "one function gives spikes, or a mask, together with other results, so the potential is not its "
    "argument; if it fires, say how it is read with mpdviz.register"
)


@dataclass(frozen=True, eq=False)
class Spiked:
    """A call that turned potentials into spikes."""

    u: Tensor
    """What the function was called with `[...]`."""
    spikes: Tensor
    """What it returned, like `u`."""
    function: SpikeFunction
    argument: int
    """Which of its arguments `u` is, among those that are tensors."""
    thresholds: Tensor | None = None
    """Thresholds inside of the function that differ by neuron, which `u` was reduced by; else None."""


@dataclass(frozen=True, eq=False)
class ByNeuron:
    """A spike function whose threshold differs by neuron, all else being equal."""

    function: SpikeFunction
    """Of the potential less the neuron's threshold."""
    thresholds: Tensor
    """`[1, ...]`, broadcast to the potentials."""
    at_first: SpikeFunction
    """Of the first neuron's potential."""


@dataclass(eq=False)
class _Going:
    """What a function's code goes by besides its arguments."""

    code: Code
    forward: int = 0
    """In which it was looked for."""
    numbers: tuple[tuple[Owner, str], ...] = ()
    cells: tuple[CellType, ...] = ()

    def constants(self) -> tuple[Any, ...]:
        """The numbers, as they are now: they may be another layer's or timestep's at every call."""
        numbers = [owner.get(name) for owner, name in self.numbers]
        return (*numbers, *(cell.cell_contents for cell in self.cells))


class Spikes:
    """The spike functions of one recording."""

    def __init__(self, epsilon: float) -> None:
        """Bound infinite supports at this share of max |h|."""
        self._epsilon = epsilon
        self._known: OrderedDict[Any, tuple[SpikeFunction | ByNeuron | str, Any]] = OrderedDict()
        self._looked: dict[Any, int] = {}  # forward at which a function was last looked at
        self._codes: dict[type, _Going] = {}

    def read(self, cls: type, args: tuple[Any, ...], result: Any, forward: int) -> Spiked | str | None:
        """What this call is: spikes, a reason why they cannot be read, or None where it is no spike function.

        Args:
            cls: the function's class.
            args: its arguments.
            result: what it returned.
            forward: number of the forward under way.
        """
        if isinstance(result, tuple):
            return FUSED if any(_may_fire(args, part) for part in result) else None
        at = _potential(args, result)
        if at is None:
            return None
        u = args[at].detach()
        others = args[:at] + args[at + 1 :]
        fixed = tuple(fingerprint(other) for other in others)
        goes_by = self._going(cls, forward)
        key = (cls, at, u.dtype, u.device, fixed, goes_by.constants())
        if key in self._known and not live(self._known[key][1]):
            del self._known[key]  # of another object, whose identity has become this one's
        if key not in self._known:
            # Not what happens to have few levels once, as a gradient's scale on spikes, is a spike function.
            if not _few_levels(result):
                return None
            self._make_room()
            self._known[key] = (self._probed(cls, args, at, u), by_identity(others))
            self._looked[key] = forward
        elif self._looked.get(key) != forward:
            self._looked[key] = forward
            known = self._known[key][0]
            settled = goes_by.code.closed and all(is_plain(other) for other in others)
            if not (settled or isinstance(known, str)) and self._moved(known, cls, args, at):
                self._known[key] = (self._probed(cls, args, at, u), by_identity(others))
        known = self._known[key][0]
        if isinstance(known, str):
            return known or None
        tensors = sum(isinstance(arg, Tensor) for arg in args[:at])
        if isinstance(known, ByNeuron):
            thresholds = known.thresholds.to(u.dtype)
            return Spiked(u - thresholds, result.detach(), known.function, tensors, thresholds)
        return Spiked(u, result.detach(), known, tensors)

    def read_alone(
        self, place: int, spike: Probe, u: Tensor, spikes: Tensor, forward: int
    ) -> Spiked | str | None:
        """The same of a function of the potential alone, at a place of the source.

        Args:
            place: where it is.
            spike: the function.
            u: the potentials.
            spikes: what it gave.
            forward: number of the forward under way.
        """
        key = (place, u.dtype, u.device)
        with unseen(), torch.random.fork_rng(devices=[]):
            try:
                known: SpikeFunction | ByNeuron | str | None = (
                    self._known[key][0] if key in self._known else None
                )
                seen = self._looked.get(key) == forward
                if known is None or (
                    isinstance(known, SpikeFunction) and not seen and not known.is_still(spike)
                ):
                    known = probe(spike, "straight-through", like=u, epsilon=self._epsilon)
            except NotAStep as error:
                known = str(error)
            except Exception as error:  # whatever their code raises on other shapes
                known = f"its spike function cannot be evaluated alone ({type(error).__name__}: {error})"
        self._known[key], self._looked[key] = (known, ()), forward
        if isinstance(known, str):
            return known or None
        assert isinstance(known, SpikeFunction)
        # The sum that carries the gradient is off by rounding.
        fired = (spikes.detach() > known.height / 2).to(u.dtype) * known.height
        return Spiked(u.detach(), fired, known, 0)

    def _make_room(self) -> None:
        """Forget what is known of arguments that are gone, and the oldest where there is too much."""
        gone = [key for key, (_, held) in self._known.items() if not live(held)]
        for key in gone + list(self._known)[: max(0, len(self._known) + 1 - KEPT)]:
            self._known.pop(key, None)
            self._looked.pop(key, None)

    def _going(self, cls: type, forward: int) -> "_Going":
        """What the function's code goes by besides its arguments; looked for once a forward."""
        known = self._codes.get(cls)
        if known is None or (known.forward != forward and not known.code.holds()):
            known = self._codes[cls] = _Going(Code.of(cls))
        if known.forward != forward:
            known.forward, known.numbers, known.cells = forward, known.code.numbers(), known.code.cells()
        return known

    def _probed(self, cls: type, args: tuple[Any, ...], at: int, u: Tensor) -> SpikeFunction | ByNeuron | str:
        with unseen(), torch.random.fork_rng(devices=[]):
            try:
                if _differ(args, at):
                    return by_neuron(cls, args, at, u, self._epsilon)
                return probe(_alone(cls, args, at), cls.__name__, like=u, epsilon=self._epsilon)
            except NotAStep as error:
                return str(error)
            except Exception as error:  # whatever their code raises on other shapes
                return f"its spike function cannot be evaluated alone ({type(error).__name__}: {error})"

    def _moved(self, known: "SpikeFunction | ByNeuron", cls: type, args: tuple[Any, ...], at: int) -> bool:
        """Whether the function does something else than it did, for the same arguments."""
        with unseen(), torch.random.fork_rng(devices=[]):
            try:
                if isinstance(known, ByNeuron):
                    return not known.at_first.is_still(_alone(cls, _of_first(args, at), at))
                return not known.is_still(_alone(cls, args, at))
            except Exception:  # probing again says what became of it
                return True


def _alone(cls: Any, args: tuple[Any, ...], at: int) -> Probe:
    """The function of its potential alone, its other arguments as they are now; the potential is not kept."""
    with torch.inference_mode(False):
        before, after = (
            [arg.detach().clone() if isinstance(arg, Tensor) else arg for arg in part]
            for part in (args[:at], args[at + 1 :])
        )

    def spike(u: Tensor) -> Tensor:
        result: Tensor = cls.apply(*before, u, *after)
        return result

    return spike


def _differ(args: tuple[Any, ...], at: int) -> bool:
    return any(isinstance(arg, Tensor) and arg.numel() > 1 for i, arg in enumerate(args) if i != at)


def _of_first(args: tuple[Any, ...], at: int) -> tuple[Any, ...]:
    """The arguments of the first neuron."""
    return tuple(
        arg.detach().flatten()[0] if isinstance(arg, Tensor) and i != at else arg
        for i, arg in enumerate(args)
    )


def by_neuron(cls: type, args: tuple[Any, ...], at: int, u: Tensor, epsilon: float) -> ByNeuron | str:
    """Probe a function whose other arguments differ by neuron; a reason where more than the threshold does.

    Raises:
        NotAStep: it is no step of its argument, or has no derivative.
    """
    first = probe(_alone(cls, _of_first(args, at), at), cls.__name__, like=u, epsilon=epsilon)
    alone = _alone(cls, args, at)
    shape = (1, *u.shape[1:])
    low, high = u.new_full(shape, -(2.0**FARTHEST)), u.new_full(shape, 2.0**FARTHEST)
    with torch.no_grad():
        silent, firing = bisected(lambda v: alone(v) != 0, low, high)
    thresholds = silent if first.strict else firing
    thresholds = torch.where(thresholds.abs() <= NEAREST, 0, thresholds)
    for point, value in zip(first.points - first.threshold, first.values, strict=True):
        h = derivative_of(alone, thresholds + point)
        if not bool(((h - value).abs() <= 1e-4 * first.top).all()):
            return "the derivative of its spike function differs by neuron"
    function = shifted(first, -first.threshold)
    return ByNeuron(function, thresholds, first)


def _potential(args: tuple[Any, ...], result: Any) -> int | None:
    """Which argument the spikes `result` are made of; None where it cannot be any."""
    if not isinstance(result, Tensor) or isinstance(result, nn.Parameter):
        return None
    for at, arg in enumerate(args):
        # A threshold, or a width, may come first.
        floating = isinstance(arg, Tensor) and arg.is_floating_point() and not isinstance(arg, nn.Parameter)
        if floating and arg.shape == result.shape and arg.dim() > 0:
            return at
    return None


def _may_fire(args: tuple[Any, ...], part: Any) -> bool:
    """Whether one of several results is 0 and 1, both, of the shape of an argument."""
    if _potential(args, part) is None or not part.is_floating_point():
        return False
    values = part.detach()
    ones = values == 1
    return bool(ones.any()) and bool((ones | (values == 0)).all()) and not bool(ones.all())


def _few_levels(result: Tensor) -> bool:
    """Whether it is 0 or one positive height everywhere, whole numbers, or a few multiples of one height."""
    values = result.detach()
    if not values.numel() or values.is_complex():
        return False
    top = values.max()
    if bool(((values == 0) | (values == top)).all()):
        return True
    if bool(values.min() >= 0) and bool((values == values.round()).all()):  # several spikes a timestep
        return True
    if len(values.flatten()[:LOOKED].unique()) > MOST:  # what is no spikes has as many levels as elements
        return False
    levels = values.unique()
    return len(levels) <= MOST and bool((levels == 0).any()) and are_multiples(levels)
