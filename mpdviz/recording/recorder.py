"""A network observed: every spike site's potentials, streamed into accumulations.

Reads top-down: `attach` begins to look, `_spiked` is told of every call of a spike function and `_read` of
every call of our own neurons, `_count` finds out which layer and timestep that is and counts it, `detach`
looks away. Nothing is put on the network and nothing is changed on the way: outputs, random numbers and
gradients stay bit for bit what they were. Nothing is ever raised inside the network's forward or backward;
what cannot be read is left out and listed.
"""

import threading
from collections.abc import Callable, Collection
from functools import partial
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz.accumulations.layer import LayerAccumulation, LayerInfo
from mpdviz.errors import BadInput
from mpdviz.recording import adapters
from mpdviz.recording.adapters import Adapter, Native
from mpdviz.recording.adapters.base import number
from mpdviz.recording.complaints import NOT_WANTED, Complaints
from mpdviz.recording.description import Description
from mpdviz.recording.gradients import FlowMeter, spike_path
from mpdviz.recording.identity import identity, strategies
from mpdviz.recording.inputs import Inputs
from mpdviz.recording.layers import Layer, Layers
from mpdviz.recording.measure.meter import Meter
from mpdviz.recording.measure.reading import Reading
from mpdviz.recording.measure.step import Pending
from mpdviz.recording.norms import LatestNorm
from mpdviz.recording.sequences import Position, Sequences
from mpdviz.recording.sites import functions
from mpdviz.recording.sites.spikes import Spiked, Spikes
from mpdviz.recording.sites.straight import Search
from mpdviz.recording.trail import Call, Start, Trail, unseen
from mpdviz.recording.wiring import Wiring
from mpdviz.surrogates import EPSILON
from mpdviz.surrogates.probed import Probe, SpikeFunction


class Recorder:
    """Streams the potentials of the neuron layers of `model` into one accumulation a layer."""

    def __init__(
        self,
        model: nn.Module,
        *,
        layers: Collection[int | str] | None = None,
        every: int = 1,
        gradients: bool = False,
        what_if: Collection[float] = (),
        epsilon: float = EPSILON,
    ) -> None:
        """Look for what is known of the neurons; nothing is attached yet. Arguments are `mpdviz.record`'s."""
        # Compiled as a whole, inside, or in place by `Module.compile`.
        if any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules()):
            raise BadInput("a compiled model cannot be observed", "record the module it was compiled from")
        if not 0 < epsilon < 1:
            raise BadInput(f"`epsilon` {epsilon}", "give a share between 0 and 1, e.g. 0.1")
        if every < 1:
            raise BadInput(f"`every` {every}", "give 1 to record every forward pass, 2 for every second, ...")
        if not all(width > 0 for width in what_if):
            raise BadInput(f"`what_if` widths {list(what_if)}", "give positive numbers")
        self._model, self._selected = model, layers
        self._check_selected()
        self._adapters = adapters.find(model)
        self._known: dict[int, Adapter] = {id(adapter.module): adapter for adapter in self._adapters.values()}
        self._trail = Trail(model)
        self._layers = Layers(self._trail)
        self._sequences = Sequences(every)
        self._spikes = Spikes(epsilon)
        self._norms = LatestNorm(lambda: self._sequences.recorded)
        self._inputs = Inputs(self._norms)
        self._wiring = Wiring()
        self._meter = Meter(epsilon, tuple(float(width) for width in what_if))
        self._flow = FlowMeter() if gradients else None
        self._search = Search(partial(self._safely, self._straight))
        self._complaints = Complaints()
        self._strategies = strategies(model)
        self._ran: set[int] = set()  # modules that were called, by identity
        self._forward = 0
        self._lock = threading.RLock()
        self._detachers: list[Callable[[], None]] = []
        self._trail.on_begin.append(self._begin)
        self._trail.on_enter.append(self._enter)
        self._trail.on_leave.append(self._leave)
        self._trail.on_end.append(self._end)

    def _check_selected(self) -> None:
        paths = dict(self._model.named_modules())
        for wanted in self._selected or ():
            named = isinstance(wanted, str) and (
                wanted.partition("@")[0] in paths or wanted == type(self._model).__name__
            )
            if not (named or (isinstance(wanted, int) and wanted >= 1)):
                raise BadInput(
                    f"there is no neuron layer {wanted!r}",
                    "give numbers from 1, in the order in which layers run, or paths of modules",
                )

    @property
    def left_out(self) -> dict[str, str]:
        """Why a layer is not recorded, by name."""
        return self._complaints.left_out

    @property
    def layers(self) -> dict[int, LayerAccumulation]:
        """The accumulations by layer number, from 1 in the order in which the layers first ran."""
        with self._lock:
            return {
                number: self._described(layer).accumulation()
                for number, layer in enumerate(self._layers, start=1)
                if layer.sums.timesteps and not layer.refuted
            }

    def network(self) -> dict[str, str]:
        """What tells this network from others, as it is now; reads all of its weights."""
        return identity(
            self._model, [self._described(layer) for layer in self._layers if layer.sums.timesteps]
        )

    def _described(self, layer: Layer) -> Description:
        flow = None if self._flow is None else self._flow.flows.get(id(layer))
        strategy = self._strategies.get(layer.path.removesuffix(".neuron"))
        return Description(
            layer,
            self._layers.name(layer),
            self._meter,
            flow,
            self._wiring.fan_out.get(id(layer), float("nan")),
            self._inputs,
            follows_data=strategy is not None and strategy.training,
        )

    def attach(self) -> None:
        """Start observing."""
        self._trail.attach()
        self._detachers.append(self._trail.detach)
        self._detachers.append(functions.watch(self._spiked, lambda: self._trail.calls))
        for adapter in self._adapters.values():
            if isinstance(adapter, Native):
                self._detachers.append(adapter.watch(partial(self._safely, self._read)))
        if self._flow is not None:
            self._flow.attach()

    def detach(self) -> None:
        """Stop observing; what was recorded stays."""
        self._search.end()
        self._wiring.stop()
        for detach in self._detachers:
            detach()
        self._detachers = []
        if self._flow is not None:
            self._flow.detach()
        self._meter.close()
        with self._lock:
            for layer in self._layers:
                for position in layer.sums.positions.values():
                    layer.sums.end(position)
            self._forget()
        self._conclude()

    def _conclude(self) -> None:
        """What of the network is not in the recording, and why."""
        recorded = {layer.path: layer for layer in self._layers}
        self._complaints.conclude(self._adapters, recorded, self._ran)
        for layer in self._layers:
            if not self._wants(layer):
                self._complaints.left_out[self._layers.name(layer)] = NOT_WANTED
        ran = sum(1 for _ in self._layers)
        for wanted in self._selected or ():
            if self._ran and isinstance(wanted, int) and wanted > ran:
                self._complaints.cannot_read(f"layer {wanted}", f"there is none; {ran} ran")
        for layer in self._layers:
            kept = layer.adapter is not None and layer.adapter.kept
            at = next(iter(layer.sums.positions.values()), None)
            if (
                kept
                and at is not None
                and at.stepped
                and layer.sums.sequences == 1
                and not self._sequences.told
            ):
                self._complaints.never_reset(self._layers.name(layer), at.timestep + 1)
        if self._ran and not recorded and not self._complaints.left_out:
            self._complaints.no_spikes(type(self._model).__name__)
        self._complaints.mixed_lengths({info.name: info.timesteps for info in self._infos()})

    def _infos(self) -> list[LayerInfo]:
        return [accumulation.info for accumulation in self.layers.values()]

    def raise_warnings(self) -> None:
        """Raise a warning that somebody made an error of; inside the network's forward it was held back."""
        for warning in self._complaints.held_back[:1]:
            raise warning

    def clear(self) -> None:
        """Forget what was recorded; the model's wiring stays known."""
        for layer in self._layers:
            layer.forget()
        self._sequences.clear()
        if self._flow is not None:
            self._flow.flows = {}

    def new_sequence(self) -> None:
        """The next call of each layer is timestep 1, for a network stepped from outside."""
        self._sequences.told += 1

    def _begin(self) -> None:
        with self._lock:
            self._forward += 1
        self._wiring.begin_forward()
        self._search.begin(self._model.training)

    def _enter(self, call: Call) -> None:
        adapter = self._known.get(id(call.module))
        if adapter is not None:
            call.start = self._safely(adapter.start, call)

    def _leave(self, call: Call, output: Any) -> None:
        if output is not None:  # it did not fail
            self._ran.add(id(call.module))
        self._norms.left(call, output)
        if self._flow is not None:
            self._flow.left(call, output)
        adapter = self._known.get(id(call.module))
        if adapter is None or output is None:
            return
        if not call.fired and not isinstance(adapter, Native):
            self._safely(self._take, call, adapter, output)
        for layer, passes in call.fired.items():
            self._wiring.left(layer, output, passes)
        self._safely(adapter.ended, call, output)

    def _end(self, output: Any) -> None:
        self._search.end()
        self._forget()
        self._wiring.end_forward(output)

    def _forget(self) -> None:
        """Keep no activation alive."""
        self._norms.forget()
        self._layers.forget_last()

    def _safely(self, do: Callable[..., Any], *args: Any) -> Any:
        """Do it; whatever it raises is a complaint, never an error of the network's."""
        try:
            # The user's functions that are evaluated on the way are nobody's spikes.
            with torch.no_grad(), unseen():
                return do(*args)
        except Exception as error:
            self._complaints.failed(self._trail.stack[-1].path if self._trail.stack else "", error)
            return None

    def _spiked(self, cls: type, args: tuple[Any, ...], result: Any, frame: FrameType | None) -> None:
        """Some function was called, by whoever."""
        if self._trail.stack:
            self._safely(self._look, cls, args, result, frame)

    def _look(self, cls: type, args: tuple[Any, ...], result: Any, frame: FrameType | None) -> None:
        stack = self._trail.stack
        # A neuron's spike function may be a module in it.
        call = next((outer for outer in reversed(stack) if id(outer.module) in self._known), stack[-1])
        adapter = self._known.get(id(call.module))
        if adapter is not None and adapter.own:
            return
        found = self._spikes.read(cls, args, result, self._forward)
        place = self._trail.here(frame) if found is not None else None
        if found is None or place is None:
            return
        u = (
            None
            if isinstance(found, str)
            else [arg for arg in args if isinstance(arg, Tensor)][found.argument]
        )
        self._take_found(call, adapter, place, found, u, result)

    def _straight(self, u: Tensor, result: Tensor, spike: Probe, frame: FrameType | None) -> None:
        """Spikes were written straight through."""
        stack = self._trail.stack
        place = self._trail.here(frame) if stack else None
        if place is None:
            return
        call = next((outer for outer in reversed(stack) if id(outer.module) in self._known), stack[-1])
        adapter = self._known.get(id(call.module))
        if adapter is not None and adapter.own:
            return
        found = self._spikes.read_alone(place, spike, u, result, self._forward)
        if found is not None:
            self._take_found(call, adapter, place, found, u, result, straight=True)

    def _take_found(
        self,
        call: Call,
        adapter: Adapter | None,
        place: int,
        found: Spiked | str,
        u: Tensor | None,
        result: Tensor,
        *,
        straight: bool = False,
    ) -> None:
        if adapter is not None and not adapter.fires([code for code, _ in self._trail.source(place)]):
            return
        with self._lock:
            layer = self._layers.at(place, call, adapter)
            if layer is None:
                return
            if isinstance(found, str):
                self._refute(layer, found)
                return
            if u is None or self._layers.is_copy(layer, place, found.u):
                return
            self._take_site(layer, call, found, u, result, straight=straight)

    def _take_site(
        self, layer: Layer, call: Call, found: Spiked, u: Tensor, result: Tensor, *, straight: bool
    ) -> None:
        adapter, steps = layer.adapter, [(found.u, found.spikes)]
        if adapter is not None:
            if adapter.silent:
                self._refute(layer, adapter.silent)
                return
            whole = adapter.whole(call, found.u)
            if whole is not None:
                steps = list(zip(whole, found.spikes.reshape(whole.shape), strict=True))
        offset, subtracted = _offset(adapter, found)
        start = None if id(layer) in call.fired else call.start
        first = self._count(layer, call, steps, found.function, offset, start)
        self._wiring.mark(id(layer), result)
        if self._flow is not None and first is not None:
            # A function's node hands the spike path back; of a sum it has to be computed.
            derivative = partial(found.function.at, found.u) if straight else None
            self._flow.watch_site(
                id(layer),
                first,
                u,
                result,
                found.argument,
                subtracted,
                rows=len(steps),
                derivative=derivative,
            )

    def _take(self, call: Call, adapter: Adapter, output: Any) -> None:
        """A call of a layer is over in which no spike function was seen."""
        with unseen(), torch.random.fork_rng(devices=[]):
            read = adapter.potentials(call, output, self._meter.epsilon)
        if read is None:
            return
        with self._lock:
            layer = self._layers.at(call.place, call, adapter)
            if layer is None:
                return
            if read.refutation:
                self._refute(layer, read.refutation)
            steps = list(zip(read.v, read.spikes, strict=True))
            first = self._count(layer, call, steps, read.function, 0.0, call.start)
            current = adapter.current(call)
            spikes = output[0] if isinstance(output, tuple) else output
            self._wiring.mark(id(layer), spikes)
            if self._flow is not None and first is not None and current is not None:
                stepped = current.shape == read.v.shape[1:]
                self._flow.watch_current(id(layer), current, first, factor=adapter.factor, stepped=stepped)

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
            recorded = position.recorded and self._wants(layer)
            if not recorded or layer.refuted:
                continue
            first = position.timestep if first is None else first
            step, row = layer.measured_by(function, offset, self._meter.what_if, carries)
            layer.sums.describe(position.timestep, row)
            seen = layer.sums.look(tuple(u.shape[1:]) or (1,), u.device)
            if carries is not None and position.pending is None and position.timestep == 0:
                position.pending = Pending(u.new_zeros(u.numel(), dtype=torch.int32))
            if position.pending is not None and position.pending.first.numel() != u.numel():
                position.pending = None
                layer.lost_reach = True
            counted = self._meter.step(u, spikes, step, seen, position.pending, position.timestep)
            if counted.mismatched and bool(u.isfinite().all()):
                self._refute(layer, "the spikes it emits are not those of its potentials and threshold")
                return None
            layer.sums.add(position.timestep, counted, offset)
        self._inputs.look(layer, call, recorded=recorded)
        call.fired[id(layer)] = call.fired.get(id(layer), 0) + 1
        return first

    def _read(self, reading: Reading) -> None:
        """Neurons of ours ran."""
        if not self._trail.stack:
            return
        call = self._trail.stack[-1]
        adapter = self._known[id(call.module)]
        with self._lock:
            layer = self._layers.at(call.place, call, adapter)
            if layer is None:
                return
            position = self._position(layer, "rest", whole=True)
            first = position.timestep + 1
            position.timestep += len(reading.v)
            recorded = position.recorded and self._wants(layer)
            if recorded:
                layer.sums.unit = reading.unit
                for t, row in enumerate(reading.rows(self._meter.epsilon), start=first):
                    layer.sums.describe(t, row)
                seen = layer.sums.look(tuple(reading.v.shape[2:]) or (1,), reading.v.device)
                layer.sums.add_whole(first, self._meter.measure(reading, seen))
            self._inputs.look(layer, call, recorded=recorded)
            call.fired[id(layer)] = call.fired.get(id(layer), 0) + 1
            self._wiring.mark(id(layer), reading.spikes)
            if recorded and self._flow is not None:
                path = partial(spike_path, adapter.decay, reading.spikes.detach(), reading.carries)
                self._flow.watch_current(id(layer), reading.current, first, path=path)

    def _position(self, layer: Layer, start: Start | None, *, whole: bool = False) -> Position:
        positions, thread = layer.sums.positions, threading.get_ident()
        before = positions.get(thread)
        position, finding = self._sequences.place(id(layer), before, self._forward, start, whole=whole)
        if position is not before:
            if before is not None:
                layer.sums.end(before)
            positions[thread] = position
            layer.sums.sequences += 1
        if finding == "not reset":
            self._complaints.not_reset(self._layers.name(layer))
        elif finding == "no sequences":
            self._complaints.no_sequences(self._layers.name(layer))
        elif finding == "too long":
            self._complaints.too_long(self._layers.name(layer))
        return position

    def _wants(self, layer: Layer) -> bool:
        if self._selected is None:
            return True
        named = any(isinstance(name, str) and self._layers.goes_by(layer, name) for name in self._selected)
        return named or self._layers.number(layer) in self._selected

    def _refute(self, layer: Layer, why: str) -> None:
        layer.refuted = why
        self._complaints.cannot_read(self._layers.name(layer), why)


def _offset(adapter: Adapter | None, found: Spiked) -> tuple[float, bool]:
    """What a site's argument lacks of the potential, and whether a threshold was subtracted just before."""
    if found.thresholds is not None:
        return 0.0, False
    outside = found.function.threshold == 0
    known = None if adapter is None or not outside else adapter.threshold
    value = 0.0 if known is None else number(known)
    # Thresholds that differ by neuron: potentials are shown as what exceeds them.
    return (0.0 if value != value else value), outside
