"""Counting: which layer and timestep a call is, and what it adds to the layer's sums."""

import threading
from collections.abc import Collection
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mpdviz.recording.adapters import Adapter
from mpdviz.recording.adapters.base import number
from mpdviz.recording.complaints import Complaints
from mpdviz.recording.gradients import FlowMeter
from mpdviz.recording.inputs import Inputs
from mpdviz.recording.layers import Layer, Layers
from mpdviz.recording.measure.meter import Meter
from mpdviz.recording.measure.reading import Reading
from mpdviz.recording.norms import LatestNorm
from mpdviz.recording.sequences import Position, Sequences
from mpdviz.recording.sites.spikes import Spiked
from mpdviz.recording.trail import Call, Start, Trail, unseen
from mpdviz.recording.wiring import Wiring
from mpdviz.surrogates.probed import SpikeFunction


class Counting:
    """Adds up what is seen, whoever saw it."""

    def __init__(
        self,
        trail: Trail,
        *,
        layers: Collection[int | str] | None,
        every: int,
        gradients: bool,
        what_if: tuple[float, ...],
        epsilon: float,
        soon: bool,
    ) -> None:
        """Count nothing yet; the arguments are those of `mpdviz.record` and `Meter`."""
        self._selected = layers
        self.layers = Layers(trail)
        self.sequences = Sequences(every)
        self.norms = LatestNorm(lambda: self.sequences.recorded)
        self.inputs = Inputs(self.norms)
        self.wiring = Wiring()
        self.meter = Meter(epsilon, what_if, soon=soon)
        self.flow = FlowMeter() if gradients else None
        self.complaints = Complaints()
        self.forward = 0
        """Number of the forward under way."""
        self.lock = threading.RLock()

    def site(
        self, layer: Layer, call: Call, found: Spiked, u: Tensor, result: Tensor, *, straight: bool
    ) -> None:
        """A spike function was called.

        Args:
            layer: where.
            call: of its module.
            found: what the function does, and with what.
            u: its argument, of the network's graph.
            result: what it returned, of the graph.
            straight: whether it is a straight-through sum.
        """
        adapter, steps = layer.adapter, [(found.u, found.spikes)]
        if adapter is not None:
            if adapter.silent:
                self.refute(layer, adapter.silent)
                return
            whole = adapter.whole(call, found.u)
            if whole is not None:
                steps = list(zip(whole, found.spikes.reshape(whole.shape), strict=True))
        offset, subtracted = _offset(adapter, found)
        start = None if id(layer) in call.fired else call.start
        first = self._count(layer, call, steps, found.function, offset, start)
        self.wiring.mark(id(layer), result)
        if self.flow is not None and first is not None:
            # A function's node hands the spike path back; of a sum it has to be computed.
            derivative = partial(found.function.at, found.u) if straight else None
            self.flow.watch_site(
                id(layer),
                first,
                u,
                result,
                found.argument,
                subtracted,
                rows=len(steps),
                derivative=derivative,
            )

    def unseen(self, call: Call, adapter: Adapter, output: Any) -> None:
        """A call of a layer is over in which no spike function was seen."""
        with unseen(), torch.random.fork_rng(devices=[]):
            read = adapter.potentials(call, output, self.meter.epsilon)
        if read is None:
            return
        with self.lock:
            layer = self.layers.at(call.place, call, adapter)
            if layer is None:
                return
            if read.refutation:
                self.refute(layer, read.refutation)
            steps = list(zip(read.v, read.spikes, strict=True))
            first = self._count(layer, call, steps, read.function, 0.0, call.start)
            current = adapter.current(call)
            spikes = output[0] if isinstance(output, tuple) else output
            self.wiring.mark(id(layer), spikes)
            if self.flow is not None and first is not None and current is not None:
                stepped = current.shape == read.v.shape[1:]
                self.flow.watch_current(id(layer), current, first, factor=adapter.factor, stepped=stepped)

    def _count(
        self,
        layer: Layer,
        call: Call,
        steps: list[tuple[Tensor, Tensor]],
        function: SpikeFunction,
        offset: float,
        start: Start | None,
    ) -> int | None:
        """Count timesteps of a layer; the first of them, from 0, None where it is not recorded.

        Args:
            layer: the layer.
            call: of its module.
            steps: the spike function's argument and its spikes `[N, ...]` of each timestep.
            function: the spike function.
            offset: what the argument lacks of the potential.
            start: where the neurons start; None: not known.
        """
        carries = None if layer.adapter is None else layer.adapter.carries
        first, recorded = None, False
        for u, spikes in steps:
            position = self._position(layer, start)
            start = None
            position.timestep += 1
            recorded = position.recorded and self.wants(layer)
            if not recorded or layer.refuted:
                continue
            first = position.timestep if first is None else first
            step, row = layer.measured_by(function, offset, self.meter.what_if, carries)
            layer.sums.describe(position.timestep, row)
            seen = layer.sums.look(tuple(u.shape[1:]) or (1,), u.device)
            if carries is not None and position.pending is None and position.timestep == 0:
                position.pending = layer.sums.pending(u)
            if position.pending is not None and position.pending.first.numel() != u.numel():
                position.pending = None
                layer.lost_reach = True
            tally = layer.sums.tally(position.timestep, len(step.what_if))
            wrong = self.meter.step(u, spikes, step, seen, position.pending, position.timestep, tally, offset)
            if wrong and bool(u.isfinite().all()):
                self.refute(layer, "the spikes it emits are not those of its potentials and threshold")
                return None
        self.inputs.look(layer, call, recorded=recorded, rows=len(steps), each=steps[0][0].shape)
        call.fired[id(layer)] = call.fired.get(id(layer), 0) + 1
        return first

    def reading(self, call: Call, adapter: Adapter, reading: Reading) -> None:
        """Neurons of ours ran."""
        with self.lock:
            layer = self.layers.at(call.place, call, adapter)
            if layer is None:
                return
            position = self._position(layer, "rest", whole=True)
            first = position.timestep + 1
            position.timestep += len(reading.spikes)
            recorded = position.recorded and self.wants(layer)
            if recorded:
                layer.sums.unit = reading.unit
                for t, row in enumerate(reading.rows(self.meter.epsilon), start=first):
                    layer.sums.describe(t, row)
                seen = layer.sums.look(tuple(reading.spikes.shape[2:]) or (1,), reading.spikes.device)
                layer.sums.add_whole(first, self.meter.measure(reading, seen))
            rows, each = len(reading.spikes), reading.spikes.shape[1:]
            self.inputs.look(layer, call, recorded=recorded, rows=rows, each=each)
            call.fired[id(layer)] = call.fired.get(id(layer), 0) + 1
            self.wiring.mark(id(layer), reading.spikes)
            if recorded and self.flow is not None:
                self.flow.watch_current(
                    id(layer), reading.current, first, factor=adapter.factor, path=reading.spike_path()
                )

    def _position(self, layer: Layer, start: Start | None, *, whole: bool = False) -> Position:
        positions, thread = layer.sums.positions, threading.get_ident()
        before = positions.get(thread)
        position, finding = self.sequences.place(id(layer), before, self.forward, start, whole=whole)
        if position is not before:
            if before is not None:
                layer.sums.end(before)
            positions[thread] = position
            layer.sums.sequences += 1
        if finding == "not reset":
            self.complaints.not_reset(self.layers.name(layer))
        elif finding == "no sequences":
            self.complaints.no_sequences(self.layers.name(layer))
        elif finding == "too long":
            self.complaints.too_long(self.layers.name(layer))
        return position

    def wants(self, layer: Layer) -> bool:
        """Whether it was asked for."""
        if self._selected is None:
            return True
        named = any(isinstance(name, str) and self.layers.goes_by(layer, name) for name in self._selected)
        return named or self.layers.number(layer) in self._selected

    def refute(self, layer: Layer, why: str) -> None:
        """It cannot be believed."""
        if not layer.refuted:
            self.complaints.refuted(self.layers.name(layer), why)
        layer.refuted = why


def _offset(adapter: Adapter | None, found: Spiked) -> tuple[float, bool]:
    """What a site's argument lacks of the potential, and whether a threshold was subtracted just before."""
    if found.thresholds is not None:
        return 0.0, False
    outside = found.function.threshold == 0
    known = None if adapter is None or not outside else adapter.threshold
    value = 0.0 if known is None else number(known)
    # Thresholds that differ by neuron: potentials are shown as what exceeds them.
    return (0.0 if value != value else value), outside
