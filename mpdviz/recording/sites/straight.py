"""Spikes that are written straight through: `(s - soft(u)).detach() + soft(u)`, s = (u > c).

A torch function mode sees the comparison, what it becomes, and the sums; a sum that amounts to

    + s  - soft detached  + soft

in whatever order it was written has the value of s and the derivative of soft. What soft is comes from the
operations themselves: they are noted as they run, and run again on a grid.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from mpdviz.recording.trail import looking_away
from mpdviz.surrogates.steps import Probe

Found = Callable[[Tensor, Tensor, Probe, FrameType | None], None]
"""Called with potentials and spikes of one call, the function of potentials alone, and the code there."""
COMPARISONS = {"gt", "ge", "lt", "le", "greater", "greater_equal", "less", "less_equal", "sign", "heaviside"}
SUMS = {"add": 1.0, "sub": -1.0, "rsub": -1.0, "subtract": -1.0}
CASTS = {"where", "type_as", "to", "type"}
DETACHED = {"detach", "detach_", "data"}
PARENTS = 3
"""Operations before the comparison among which soft's argument is looked for."""
Term = tuple[int, bool]
"""A summand: a result's note by identity, and whether it is detached."""


@dataclass(eq=False)
class Note:
    """How a tensor came about."""

    function: Any
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    tensor: Tensor | None = None
    """Itself, where nothing is known of how it came about."""
    step: "Note | None" = None
    """The potentials' note, where this is a comparison or made of one and numbers."""
    terms: dict[Term, float] = field(default_factory=dict)
    """The sum that it is, where it is one of interest."""
    notes: dict[int, "Note"] = field(default_factory=dict)
    """The summands, by identity."""
    value: Tensor | None = None
    """Of potentials that were compared."""


class StraightThrough(TorchFunctionMode):
    """Looks for straight-through spikes in one thread while a forward lasts."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch imports its compiler only to keep it away from this class.
        return False

    def __init__(self, found: Found) -> None:
        """Call `found` for each."""
        super().__init__()
        self._found = found
        self._notes = WeakTensorKeyDictionary()
        self.any = False
        """Whether there was one."""

    def __enter__(self) -> Self:
        """Start looking."""
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation as it is, and note it."""
        result = func(*args, **(kwargs or {}))
        if not looking_away() and isinstance(result, Tensor):
            self._note(func, args, kwargs or {}, result, sys._getframe(1))
        return result

    def _note(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Tensor,
        frame: FrameType | None,
    ) -> None:
        name = _name(func)
        operands = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if not operands:
            return
        known = [self._of(tensor) for tensor in operands]
        held = iter(known)
        args, kwargs = tree_map(lambda leaf: next(held) if isinstance(leaf, Tensor) else leaf, (args, kwargs))
        note = Note(func, args, kwargs)
        if name in COMPARISONS and operands[0].is_floating_point():
            compared = max(range(len(operands)), key=lambda i: (operands[i].shape == result.shape, -i))
            potentials = known[compared]
            potentials.value = operands[compared]
            note.step = potentials
        elif known[0].step is not None and name not in DETACHED and (len(known) == 1 or name in CASTS):
            note.step = known[0].step  # cast, scaled or moved by numbers
        if name in DETACHED:
            source = known[0]
            terms = source.terms or {(id(source), False): 1.0}
            note.terms = {(summand, True): factor for (summand, _), factor in terms.items()}
            note.notes = source.notes or {id(source): source}
            note.step = source.step
        elif name in SUMS and len(known) == 2 and any(one.terms or one.step for one in known):
            note.step = None
            first, second = known if name != "rsub" else known[::-1]
            note.terms, note.notes = _sum(first, second, SUMS[name])
            if self._is_straight(note, result, frame):
                note.terms, note.notes = {}, {}
        self._notes[result] = note

    def _of(self, tensor: Tensor) -> Note:
        note: Note | None = self._notes.get(tensor)
        if note is None:
            note = Note(None, tensor=tensor)
            self._notes[tensor] = note
        return note

    def _is_straight(self, note: Note, result: Tensor, frame: FrameType | None) -> bool:
        terms = {term: factor for term, factor in note.terms.items() if factor}
        steps = [
            summand for (summand, _), factor in terms.items() if note.notes[summand].step and factor == 1
        ]
        live = [summand for (summand, detached), factor in terms.items() if not detached and factor == 1]
        live = [summand for summand in live if note.notes[summand].step is None]
        if len(terms) != 3 or len(steps) != 1 or len(live) != 1 or terms.get((live[0], True)) != -1:
            return False
        step, soft = note.notes[steps[0]], note.notes[live[0]]
        potentials = step.step
        for _ in range(PARENTS):
            if potentials is None:
                return False
            if potentials.value is not None and _reaches(soft, potentials):
                self._tell(note, potentials, result, frame)
                return True
            potentials = self._parent(potentials)
        return False

    def _parent(self, note: Note) -> Note | None:
        """The potentials that these were made of, by one operation with numbers or parameters."""
        parents = [leaf for leaf in tree_leaves((note.args, note.kwargs)) if isinstance(leaf, Note)]
        made = [parent for parent in parents if not isinstance(parent.tensor, torch.nn.Parameter)]
        if len(made) != 1:
            return None
        if made[0].value is None:
            made[0].value = next((t for t, known in self._notes.items() if known is made[0]), None)
        return made[0]

    def _tell(self, note: Note, potentials: Note, result: Tensor, frame: FrameType | None) -> None:
        self.any = True
        assert potentials.value is not None

        def spike(u: Tensor) -> Tensor:
            return _again(note, {id(potentials): u})

        self._found(potentials.value, result, spike, frame)


def _is_known(module: nn.Module) -> bool:
    """Whether all code of a module is torch's or ours, which write no such spikes."""
    theirs = "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks
    return not theirs and type(module).__module__.startswith(("torch.nn.", "mpdviz."))


class Search:
    """When to look for straight-through spikes: it costs a little at every operation.

    The first forward in each mode is looked at, and all of them once one had such spikes. What the operations
    of that forward are given stays alive in it, so networks whose code has no such spikes are not looked at.
    """

    def __init__(self, found: Found, model: nn.Module) -> None:
        """Call `found` for each that there is in `model`."""
        self._found = found
        self._needless = all(_is_known(module) for module in model.modules())
        self._searched: set[tuple[bool, bool]] = set()
        self._any = False
        self._local = threading.local()

    def begin(self, training: bool) -> None:
        """A forward begins from outside, in this mode."""
        self.end()
        mode = (training, torch.is_grad_enabled())
        if self._needless:
            return
        if self._any or mode not in self._searched:
            self._searched.add(mode)
            self._local.looking = StraightThrough(self._found)
            self._local.looking.__enter__()

    def end(self) -> None:
        """It is over, or an earlier one that was interrupted."""
        looking: StraightThrough | None = getattr(self._local, "looking", None)
        if looking is not None:
            self._local.looking = None
            looking.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self._any |= looking.any


def _name(func: Any) -> str:
    """What an operation is called, whichever of its many spellings was used."""
    if getattr(func, "__name__", "") == "__get__":
        return "data" if "data" in (resolve_name(func) or "") else ""
    name: str = getattr(func, "__name__", "")
    return name.strip("_") if name not in DETACHED else name


def _sum(first: Note, second: Note, factor: float) -> tuple[dict[Term, float], dict[int, Note]]:
    terms: dict[Term, float] = {}
    notes: dict[int, Note] = {}
    for note, sign in ((first, 1.0), (second, factor)):
        for term, value in (note.terms or {(id(note), False): 1.0}).items():
            terms[term] = terms.get(term, 0.0) + sign * value
        notes |= note.notes or {id(note): note}
    return terms, notes


def _reaches(note: Note, goal: Note) -> bool:
    """Whether a result was made of another one."""
    seen: set[int] = set()
    waiting = [note]
    while waiting:
        at = waiting.pop()
        if at is goal:
            return True
        if id(at) not in seen:
            seen.add(id(at))
            waiting += _made_of(at)
    return False


def _made_of(note: Note) -> Iterator[Note]:
    return (leaf for leaf in tree_leaves((note.args, note.kwargs)) if isinstance(leaf, Note))


def _again(note: Note, values: dict[int, Tensor]) -> Tensor:
    """Run the operations that led to a result again, from the values that are given by note."""
    if id(note) not in values:
        if note.function is None:
            assert note.tensor is not None
            values[id(note)] = note.tensor.detach()
        else:
            args, kwargs = tree_map(
                lambda leaf: _again(leaf, values) if isinstance(leaf, Note) else leaf,
                (note.args, note.kwargs),
            )
            if _in_place(note.function):
                args = (args[0].clone(), *args[1:])
            values[id(note)] = note.function(*args, **kwargs)
    return values[id(note)]


def _in_place(function: Any) -> bool:
    name: str = getattr(function, "__name__", "")
    return (name.endswith("_") and not name.endswith("__")) or name in ("__iadd__", "__isub__", "__imul__")
