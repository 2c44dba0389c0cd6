"""What went into a neuron layer: which neurons got any, whether it repeated over time, its sums."""

import threading
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mpdviz.accumulations.census import DRIVEN
from mpdviz.norm import Norm
from mpdviz.recording.layers import Layer
from mpdviz.recording.norms import LatestNorm
from mpdviz.recording.trail import Call


@dataclass(eq=False)
class Input:
    """What is known of one layer's."""

    norm: nn.Module | None = None
    """The batch norm that makes it."""
    driven: bool = False
    """Whether which neurons got any is known."""
    all_driven: bool = False
    repeated: bool | None = None
    """Whether it was the same at every timestep so far; None: nothing was compared."""
    before: Tensor | None = None
    """That of the timestep before."""
    call: int = 0
    """Number of the latest call that was looked at."""


class Inputs:
    """The inputs of all layers, looked at once a call."""

    def __init__(self, norms: LatestNorm) -> None:
        """None yet; `norms` knows the batch norm that ran last."""
        self._norms = norms
        self._inputs: dict[int, Input] = {}

    def of(self, layer: Layer) -> Input:
        """What is known of a layer's."""
        known = self._inputs.get(id(layer))
        if known is None:
            known = self._inputs[id(layer)] = Input()
        return known

    def look(self, layer: Layer, call: Call, *, recorded: bool, rows: int, each: torch.Size) -> None:
        """A layer fired in this call; what went into its neurons is what went into the call.

        Args:
            layer: the layer.
            call: of its module.
            recorded: whether the sequence is.
            rows: timesteps that it has just fired at.
            each: shape of one timestep's potentials `[N, ...]`.
        """
        if layer.adapter is None:
            return
        known = self.of(layer)
        if known.call == call.number:
            return
        current = layer.adapter.current(call)
        norm, driven = self._norms.behind(current)
        if not recorded or current is None:
            return
        known.call, known.norm = call.number, norm
        shape, census = layer.sums.shape, layer.sums.census
        if shape is None or census is None:
            return
        sequence = current.shape[2:] == shape or (current.dim() == 2 and shape == (1,))
        if not (sequence or current.shape[1:] == shape):
            return  # a recurrent cell's, say, with other inputs than neurons
        known.driven = True
        self._sum(layer, current.detach(), rows, each)
        if not known.all_driven and layer.sums.comparable:
            if driven is None:
                driven = (current.detach() != 0).reshape(-1, *shape).any(0)
            census |= (driven * DRIVEN).to(torch.uint8).expand(shape).flatten()
            known.all_driven = bool((census & DRIVEN).all())
            if known.all_driven and isinstance(norm, Norm):
                self._norms.drove_all(norm)
        self._compare(known, current.detach(), sequence=sequence, goes_on=call.start == "goes on")

    def _sum(self, layer: Layer, current: Tensor, rows: int, each: torch.Size) -> None:
        """Add the current to the layer's sums, in units of the potential."""
        adapter, tally = layer.adapter, layer.sums.currents
        position = layer.sums.positions[threading.get_ident()]
        if adapter is None or not adapter.follows or tally.why:
            return
        factor = adapter.factor
        current = current if factor == 1 else current * factor
        first = position.timestep + 1 - rows
        if current.shape == each:
            tally.step(id(position), first, current if current.dim() > 1 else current.unsqueeze(1))
        elif current.shape[1:] == each and first == 0:
            tally.add(current if current.dim() > 2 else current.unsqueeze(2))
        elif current.shape[1:] == each:
            tally.give_up("sequences are spread over several calls that hold several timesteps each")

    def _compare(self, known: Input, current: Tensor, *, sequence: bool, goes_on: bool) -> None:
        if known.repeated is False:
            known.before = None
        elif sequence:
            if known.repeated is None:
                known.repeated = len(current) > 1 and all(
                    torch.equal(current[0], step) for step in current[1:]
                )
        else:
            if goes_on and known.before is not None:
                known.repeated = torch.equal(known.before, current)
            known.before = current
