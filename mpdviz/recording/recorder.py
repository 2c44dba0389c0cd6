"""Hooks over a model: every neuron layer's potentials, streamed into accumulations.

Reads top-down: `attach` puts an observer on every neuron layer, `_take` puts what it reads together to
sequences, `_added` turns each into statistics and adds them up, `detach` takes everything off again.
Nothing is changed on the way: outputs, random numbers and gradients stay bit for bit what they were.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz.accumulations.census import DRIVEN, Census
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.errors import BadInput
from mpdviz.recording.adapters import Reading, find
from mpdviz.recording.complaints import Complaints
from mpdviz.recording.description import describe, named, repeated
from mpdviz.recording.gradients import FlowMeter
from mpdviz.recording.identity import identity, strategies
from mpdviz.recording.measure.meter import Meter
from mpdviz.recording.norms import LatestNorm, Norm
from mpdviz.recording.sequences import Sequences, Steps
from mpdviz.recording.wiring import Wiring
from mpdviz.surrogates import EPSILON


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
        """Look for neuron layers; nothing is attached yet. The arguments are those of `mpdviz.record`."""
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
        self._adapters = named(find(model))
        self._check_selected()
        stepped = {name for name, adapter in self._adapters.items() if adapter.stepped}
        self._sequences = Sequences(every, stepped=bool(stepped))
        self._norms = LatestNorm(lambda: self._sequences.recorded)
        self._wiring = Wiring(stepped)
        self._meter = Meter(epsilon, tuple(float(width) for width in what_if))
        self._flow = FlowMeter() if gradients else None
        self._complaints = Complaints()
        self._strategies = strategies(model)
        self._layers: dict[str, LayerAccumulation] = {}
        self._numbers: dict[str, int] = {}
        self._detachers: list[Callable[[], None]] = []

    def _check_selected(self) -> None:
        names = list(self._adapters)
        for wanted in self._selected or ():
            if wanted not in names and wanted not in range(1, len(names) + 1):
                raise BadInput(
                    f"there is no neuron layer {wanted!r}",
                    f"give numbers from 1 to {len(names)}, or names such as {names[0]!r}",
                )

    @property
    def left_out(self) -> dict[str, str]:
        """Why a layer is not recorded, by name."""
        return self._complaints.left_out

    @property
    def layers(self) -> dict[int, LayerAccumulation]:
        """The accumulations by layer number, from 1 in the order in which the layers first ran."""
        layers, flows = dict(self._layers), {} if self._flow is None else self._flow.flows
        for name, steps in self._whole().items():  # without ending them
            self._add_whole(layers, name, steps.so_far())
        recorded = {}
        for name, layer in layers.items():
            flow = flows.get(name)
            if flow is not None:  # the gradients of its last timesteps may be still to come
                flow = flow.at(0, layer.info.timesteps)
            recorded[self._numbers[name]] = replace(layer, flow=flow)
        return recorded

    def network(self) -> dict[str, str]:
        """What tells this network from others, as it is now; reads all of its weights."""
        return identity(self._model, self._adapters)

    def attach(self) -> None:
        """Start observing."""
        handles = []
        for name, adapter in self._adapters.items():
            self._detachers.append(adapter.watch(partial(self._take, name)))
            handles.append(adapter.module.register_forward_hook(partial(self._wiring.mark, name)))
        handles += self._norms.attach(self._model)
        if self._flow is not None:
            handles += self._flow.attach(self._model)
        handles.append(self._model.register_forward_pre_hook(self._begin_forward))
        handles.append(self._model.register_forward_hook(self._end_forward, always_call=True))
        self._detachers += [handle.remove for handle in handles]

    def detach(self) -> None:
        """Stop observing; what was recorded stays."""
        self._wiring.stop()
        for name, steps in self._whole().items():
            self._add_whole(self._layers, name, steps.finish())
        for detach in self._detachers:
            detach()
        self._detachers = []
        self._norms.forget()
        if self._flow is not None:
            self._flow.detach()
        self._meter.close()

    def clear(self) -> None:
        """Forget what was recorded; the model's wiring stays known."""
        self._layers = {}
        self._sequences.clear()
        if self._flow is not None:
            self._flow.flows = {}

    def new_sequence(self) -> None:
        """The next call of each layer is timestep 1, for a network stepped from outside."""
        self._sequences.new_sequence()

    def _begin_forward(self, *_: Any) -> None:
        self._sequences.begin_forward()
        self._wiring.begin_forward()

    def _end_forward(self, _: nn.Module, __: Any, output: Any) -> None:
        self._norms.forget()
        if self._wiring.end_forward(output):
            for name, layer in self._layers.items():
                layer.info = replace(layer.info, fan_out=self._wiring.fan_out.get(name, float("nan")))

    def _wants(self, name: str) -> bool:
        number = self._numbers.setdefault(name, len(self._numbers) + 1)
        selected = self._selected is None or number in self._selected or name in self._selected
        return self._sequences.recorded and selected

    @torch.no_grad()
    def _take(self, name: str, reading: Reading) -> None:
        """What a layer's adapter read: whole sequences go on at once, timesteps when theirs is complete."""
        if reading.refutation:
            self._complaints.cannot_read(name, reading.refutation)
            self._layers.pop(name, None)
        if name in self.left_out:
            return
        if self._adapters[name].stepped:
            self._take_step(name, reading)
        else:
            self._take_sequence(name, reading)

    def _take_sequence(self, name: str, reading: Reading) -> None:
        if not reading.fresh:
            self._complaints.not_reset(name)
        norm, driven = self._norms.behind(reading.current)
        wanted, before = self._wants(name), self._layers.get(name)
        expected = before.info.timesteps if wanted and before is not None else None
        first = self._sequences.place(name, len(reading.v), expected)
        if not wanted:
            return
        layer = self._layers[name] = self._added(before, name, reading, first, norm, driven)
        if norm is not None and bool((layer.census.seen & DRIVEN).all()):
            self._norms.drove_all(norm)
        if self._flow is not None:
            self._flow.watch(name, reading.current, first)

    def _take_step(self, name: str, reading: Reading) -> None:
        ended, timestep = self._sequences.advance(name, reading)
        self._add_whole(self._layers, name, ended)
        if timestep == 0:
            if not reading.fresh:
                self._complaints.not_reset(name)
            if reading.goes_on is None and not self._sequences.told:
                self._complaints.no_sequences(name)
        wanted = self._wants(name)
        if wanted and self._flow is not None:
            self._flow.watch(name, reading.current, timestep, stepped=True)
        self._sequences.add(name, reading, wanted)

    def _whole(self) -> dict[str, Steps]:
        return self._sequences.whole({name: layer.info.timesteps for name, layer in self._layers.items()})

    def _add_whole(self, layers: dict[str, LayerAccumulation], name: str, sequence: Reading | None) -> None:
        if sequence is not None and name not in self.left_out:
            layers[name] = self._added(layers.get(name), name, sequence, 0)

    @torch.no_grad()
    def _added(
        self,
        before: LayerAccumulation | None,
        name: str,
        reading: Reading,
        first: int,
        norm: Norm | None = None,
        driven: Tensor | None = None,
    ) -> LayerAccumulation:
        """What was recorded of a layer `before`, and this reading from timestep `first` on."""
        adapter, current, v = self._adapters[name], reading.current, reading.v
        if driven is None:
            driven = (current != 0).flatten(0, 1).any(0)
        shape = v.shape[2:] or (1,)
        seen = (driven * DRIVEN).to(torch.uint8).expand(shape).flatten().contiguous()
        statistics = self._meter.measure(reading, adapter, seen)
        census = Census(seen.reshape(shape).cpu().numpy())
        strategy, meter = self._strategies.get(name), self._meter
        follows_data = strategy is not None and strategy.training
        info = describe(name, adapter, reading, norm, meter.epsilon, meter.what_if, follows_data=follows_data)
        info = replace(
            info,
            fan_out=self._wiring.fan_out.get(name, info.fan_out),
            repeated_input=repeated(current) if before is None else before.info.repeated_input,
        )
        layer = LayerAccumulation(info, statistics, census)
        if before is None:
            return layer
        timesteps = max(before.info.timesteps, first + len(v))
        return before.widened(0, timesteps) + layer.widened(first, timesteps, before.info)
