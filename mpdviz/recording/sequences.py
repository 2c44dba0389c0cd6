"""Calls of neuron layers put together to sequences: which timestep a call is, and which sequences count."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from mpdviz.errors import BadInput
from mpdviz.recording.adapters import Reading


class Steps:
    """The sequence that a stepped layer is in."""

    def __init__(self) -> None:
        """None yet."""
        self._length, self._readings = 0, list[Reading]()

    def __len__(self) -> int:
        """Timesteps so far, those included that nobody wants recorded."""
        return self._length

    def add(self, reading: Reading, wanted: bool) -> None:
        """The next timestep."""
        self._length += 1
        if wanted:
            self._readings.append(replace(reading, current=reading.current.detach()))

    def so_far(self) -> Reading | None:
        """The wanted timesteps as one reading `[T, N, ...]`, None where there are none."""
        if not self._readings:
            return None
        return Reading(
            torch.stack([reading.current for reading in self._readings]),
            torch.cat([reading.v for reading in self._readings]),
            torch.cat([reading.kappa for reading in self._readings]),
            torch.cat([reading.v_th for reading in self._readings]),
            self._readings[0].fresh,
            shapes=tuple(shape for reading in self._readings for shape in reading.shapes),
        )

    def finish(self) -> Reading | None:
        """What there is so far; then begin anew."""
        sequence = self.so_far()
        self._length, self._readings = 0, []
        return sequence


class Sequences:
    """Where each layer is in time. A sequence is a forward pass, or what stepped layers make of many."""

    def __init__(self, every: int, *, stepped: bool) -> None:
        """None yet.

        Args:
            every: record every n-th sequence.
            stepped: whether the model holds layers that are called once a timestep.
        """
        self._every, self._stepped = every, stepped
        self._count = 0
        self._positions: dict[str, int] | None = None  # in a sequence that `new_sequence` began
        self._ran: set[str] = set()  # in the forward under way
        self._steps: dict[str, Steps] = {}  # of the stepped layers
        self._begun: set[str] = set()  # of these, those that are in the sequence under way

    @property
    def recorded(self) -> bool:
        """Whether the sequence under way is one of every n-th."""
        return (self._count - 1) % self._every == 0

    @property
    def told(self) -> bool:
        """Whether somebody says where sequences begin, see `new_sequence`."""
        return self._positions is not None

    def new_sequence(self) -> None:
        """The next call of each layer is timestep 1, for a network stepped from outside."""
        self._positions = {}

    def begin_forward(self) -> None:
        """The model is called."""
        self._ran = set()
        if not self._stepped:
            self._count += 1

    def clear(self) -> None:
        """Forget what was counted and what is under way."""
        self._count, self._steps, self._begun = 0, {}, set()

    def place(self, name: str, timesteps: int, expected: int | None) -> int:
        """Which timestep of its sequence this call of a layer of whole sequences starts at, from 0.

        Args:
            name: the layer.
            timesteps: T of the call.
            expected: T of the calls that this one is to be added to; None takes any.

        Raises:
            BadInput: its timesteps cannot be told from its calls.
        """
        if self._positions is None:
            if expected not in (None, timesteps):
                raise BadInput(
                    f"layer {name} ran with T={expected}, then with T={timesteps}",
                    "record each T on its own, or call new_sequence() first if you step the network yourself",
                )
            return 0
        if name in self._ran:
            raise BadInput(
                f"layer {name} ran twice within one forward of a network stepped from outside",
                "give the network whole sequences, so that its timesteps can be told from its calls",
            )
        self._ran.add(name)
        first = self._positions.get(name, 0)
        self._positions[name] = first + timesteps
        return first

    def advance(self, name: str, reading: Reading) -> tuple[Reading | None, int]:
        """A stepped layer was called.

        Returns:
            The sequence that is over by this, None where none is or none of it is wanted; the timestep of
            this call, from 0, which `add` puts to its sequence.
        """
        steps = self._steps.setdefault(name, Steps())
        goes_on = self.told if reading.goes_on is None else reading.goes_on
        restarted = self._positions is not None and name not in self._positions
        ended = steps.finish() if restarted or not goes_on else None
        if len(steps) == 0:
            if self._positions is not None:
                self._positions[name] = 0
            # Of a network stepped from outside a sequence is what a forward pass is of others.
            if not self._begun or name in self._begun:
                self._count, self._begun = self._count + 1, set()
            self._begun.add(name)
        return ended, len(steps)

    def add(self, name: str, reading: Reading, wanted: bool) -> None:
        """The call of a stepped layer that `advance` has placed."""
        self._steps[name].add(reading, wanted)

    def whole(self, timesteps: Mapping[str, int]) -> dict[str, Steps]:
        """Sequences under way that may be over: all but those shorter than the ones before of `timesteps`."""
        return {
            name: steps
            for name, steps in self._steps.items()
            if len(steps) == timesteps.get(name, len(steps))
        }
