"""Calls of neuron layers put together to sequences: which timestep a call is, and which sequences count.

A place that one forward passes several times holds its own loop over time. One that is passed once a forward
is stepped from outside; its sequence goes on where the neurons are known to go on, or where `new_sequence`
tells when one begins. Where nothing is known no call is joined to another.
"""

from dataclasses import dataclass
from typing import Literal

from mpdviz.recording.measure.step import Pending
from mpdviz.recording.trail import Start

Finding = Literal["", "not reset", "no sequences", "too long"]
LONGEST = 4096
"""Timesteps of a sequence, beyond which another begins: a state that nobody resets must not fill memory.

Runs count them in 16 bits."""


@dataclass(eq=False)
class Position:
    """Where a layer is in its sequence, in one thread."""

    forward: int
    """The last forward that it ran in."""
    told: int
    """The sequence that it is in, as `new_sequence` counts them."""
    recorded: bool
    """Whether that one is recorded."""
    timestep: int = -1
    """Its latest timestep, from 0."""
    passes: int = 0
    """Calls in that forward."""
    stepped: bool = False
    """Whether the sequence spans several forwards."""
    pending: Pending | None = None


class Sequences:
    """Which sequences there were, and which of them are recorded."""

    def __init__(self, every: int) -> None:
        """Record every so many."""
        self._every = every
        self.clear()
        self.told = 0
        """How often `new_sequence` was called."""

    def clear(self) -> None:
        """Forget what was counted."""
        self._count = 0
        self._begun: set[int] = set()  # layers in the sequence under way, by identity

    @property
    def recorded(self) -> bool:
        """Whether the sequence under way is one of every n-th."""
        return (self._count - 1) % self._every == 0

    def place(
        self, layer: int, at: Position | None, forward: int, start: Start | None, *, whole: bool = False
    ) -> tuple[Position, Finding]:
        """Where a call of a layer is in time; the position is the one before, or a new one.

        Args:
            layer: the layer, by identity.
            at: where it was; None before its first call.
            forward: number of the forward under way, those from outside counted.
            start: where the neurons start; None: not known.
            whole: whether the call holds whole sequences by itself, from rest.
        """
        finding: Finding = ""
        if at is None:
            begins = True
        elif whole:
            begins = not self.told or at.told != self.told
        elif at.forward == forward:
            begins = start == "rest"
        elif self.told and start != "rest":
            begins = at.told != self.told
        elif start is None:
            begins = True
            finding = "no sequences" if at.passes == 1 else ""
        else:
            # A loop of its own, or whole sequences: what is left over from the forward before is a state.
            begins = start != "goes on" or at.passes > 1
        if begins and start in ("goes on", "elsewhere"):
            finding = "not reset"
        if at is not None and at.timestep + 1 >= LONGEST and not begins:
            begins, finding = True, "too long"
        if begins:
            if not self._begun or layer in self._begun:
                self._count, self._begun = self._count + 1, set()
            self._begun.add(layer)
            at = Position(forward, self.told, self.recorded)
        assert at is not None
        if at.forward != forward:
            at.stepped, at.forward, at.passes = True, forward, 0
        at.passes += 1
        return at, finding
