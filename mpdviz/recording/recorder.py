"""Hooks over a model: every neuron layer's potentials, streamed into accumulations.

Reads top-down: `attach` puts an observer on every neuron layer, `_take` puts what it reads together to
sequences, `_observe` turns each into statistics and adds them up, `detach` takes everything off again.
Nothing is changed on the way: outputs, random numbers and gradients stay bit for bit what they were.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mpdviz.accumulations.census import DRIVEN, Census
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.errors import BadInput
from mpdviz.norm import TDBatchNorm1d, TDBatchNorm2d
from mpdviz.recording.adapters import Reading, find
from mpdviz.recording.complaints import Complaints
from mpdviz.recording.description import Norm, describe, repeated
from mpdviz.recording.gradients import FlowMeter
from mpdviz.recording.measure.meter import Meter
from mpdviz.recording.sequences import Steps
from mpdviz.recording.wiring import FanOutTracer
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
            raise BadInput(f"epsilon={epsilon}", "give a share between 0 and 1, e.g. 0.1")
        if every < 1:
            raise BadInput(f"every={every}", "give 1 to record every forward pass, 2 for every second, ...")
        if not all(width > 0 for width in what_if):
            raise BadInput(f"what-if widths {list(what_if)}", "give positive numbers")
        self._model, self._layers_wanted, self._every = model, layers, every
        self._adapters = find(model)
        self._check_layers()
        self._meter = Meter(epsilon, tuple(float(width) for width in what_if))
        self._flow = FlowMeter() if gradients else None
        self._handles: list[RemovableHandle] = []
        self._detachers: list[Callable[[], None]] = []
        self._layers: dict[str, LayerAccumulation] = {}
        self._numbers: dict[str, int] = {}
        self._forwards = 0
        self._tracer: FanOutTracer | None = None
        self._traced = False
        self._fan_out: dict[str, float] = {}
        self._position: dict[str, int] | None = None  # of each layer in a sequence stepped from outside
        self._ran: set[str] = set()  # layers that ran in the forward under way
        self._steps: dict[str, Steps] = {}  # of layers that are stepped from outside
        self._begun: set[str] = set()  # of these, those that are in the sequence under way
        self._complaints = Complaints()
        self._before: tuple[Norm, Tensor, Tensor] | None = None  # latest norm, its output, driven neurons
        self._fully_driven: set[nn.Module] = set()

    def _check_layers(self) -> None:
        names = [shown(name) for name in self._adapters]
        for wanted in self._layers_wanted or ():
            if wanted not in names and wanted not in range(1, len(names) + 1):
                raise BadInput(
                    f"there is no neuron layer {wanted!r}",
                    f"give numbers from 1 to {len(names)}, or names such as {names[0]!r}",
                )

    @property
    def unreadable(self) -> dict[str, str]:
        """Why a layer is not recorded, by name."""
        return self._complaints.unreadable

    @property
    def layers(self) -> dict[int, LayerAccumulation]:
        """The accumulations by layer number, from 1 in the order in which the layers first ran."""
        self._complete_whole()
        flows = {} if self._flow is None else self._flow.flows
        recorded = {}
        for name, layer in self._layers.items():
            flow = flows.get(name)
            if flow is not None:  # the gradients of its last timesteps may be still to come
                flow = flow.at(0, layer.info.timesteps)
            recorded[self._numbers[name]] = replace(layer, flow=flow)
        return recorded

    def attach(self) -> None:
        """Start observing."""
        for name, adapter in self._adapters.items():
            self._detachers.append(adapter.watch(partial(self._take, name)))
            self._handles.append(adapter.module.register_forward_hook(partial(self._mark, name)))
        for module in self._model.modules():
            if isinstance(module, TDBatchNorm1d | TDBatchNorm2d):
                self._handles.append(module.register_forward_hook(self._remember_norm))
        if self._flow is not None:
            self._handles += self._flow.attach(self._model)
        self._handles.append(self._model.register_forward_pre_hook(self._begin))
        self._handles.append(self._model.register_forward_hook(self._end, always_call=True))

    def detach(self) -> None:
        """Stop observing; what was recorded stays."""
        self._stop_tracing()  # an interrupted forward never reached `_end`
        self._complete_whole()
        for handle in self._handles:
            handle.remove()
        for detach in self._detachers:
            detach()
        if self._flow is not None:
            self._flow.detach()
        self._meter.close()
        self._handles, self._detachers, self._before = [], [], None

    def clear(self) -> None:
        """Forget what was recorded; the model's wiring stays known."""
        self._layers, self._forwards, self._steps, self._begun = {}, 0, {}, set()
        if self._flow is not None:
            self._flow.flows = {}

    def new_sequence(self) -> None:
        """The next call of each layer is timestep 1, for a network stepped from outside."""
        self._position = {}

    def _begin(self, *_: Any) -> None:
        if not any(adapter.stepped for adapter in self._adapters.values()):
            self._forwards += 1
        self._ran = set()
        # The wiring is read off the first whole forward pass and is the same in every later one.
        if not self._traced:
            self._stop_tracing()
            self._tracer = FanOutTracer()
            self._tracer.__enter__()

    def _end(self, _: nn.Module, __: Any, output: Any) -> None:
        tracer = self._tracer
        self._stop_tracing()
        self._before = None
        if tracer is None or output is None:  # the forward failed: read the wiring off the next one
            return
        self._traced = True
        for name, targets in tracer.fan_out.items():
            # A stepped layer runs once a timestep, on other spikes each time.
            calls = tracer.calls[name] if self._adapters[name].stepped else 1
            self._fan_out[name] = targets / calls
        for name, layer in self._layers.items():
            layer.info = replace(layer.info, fan_out=self._fan_out.get(name, float("nan")))

    def _stop_tracing(self) -> None:
        if self._tracer is not None:
            self._tracer.__exit__(None, None, None)
            self._tracer = None

    def _mark(self, name: str, _: nn.Module, __: Any, output: Tensor | tuple[Tensor, ...]) -> None:
        if self._tracer is not None:
            self._tracer.mark(name, output[0] if isinstance(output, tuple) else output)

    @torch.no_grad()
    def _remember_norm(self, norm: Norm, inputs: tuple[Tensor], output: Tensor) -> None:
        x = inputs[0]
        # Once every neuron got some input, looking again cannot tell anything new.
        known = norm in self._fully_driven or not self._records_now()
        driven = x.new_ones(()) if known else (x != 0).flatten(0, 1).any(0)
        self._before = (norm, output, driven)

    def _records_now(self) -> bool:
        return (self._forwards - 1) % self._every == 0

    def _wants(self, name: str) -> bool:
        number = self._numbers.setdefault(name, len(self._numbers) + 1)
        wanted = self._layers_wanted
        return self._records_now() and (wanted is None or number in wanted or shown(name) in wanted)

    @torch.no_grad()
    def _take(self, name: str, reading: Reading) -> None:
        """What a layer's adapter read: whole sequences go on at once, timesteps when theirs is complete."""
        adapter = self._adapters[name]
        if reading.unlike:
            self._complaints.cannot_read(shown(name), reading.unlike)
            self._layers.pop(name, None)
        if shown(name) in self.unreadable:
            return
        if not adapter.stepped:
            if not reading.fresh:
                self._complaints.not_reset(shown(name))
            norm, driven = self._norm_of(reading.current)
            wanted = self._wants(name)
            first = self._place(name, len(reading.v), wanted)
            if wanted:
                self._observe(name, reading, first, norm, driven)
            return
        steps = self._steps.setdefault(name, Steps())
        if not reading.goes_on or (self._position is not None and name not in self._position):
            self._complete(name)
        if len(steps) == 0:
            if not reading.fresh:
                self._complaints.not_reset(shown(name))
            if self._position is not None:
                self._position[name] = 0
            # Of a network stepped from outside a sequence is what a forward pass is of others.
            if not self._begun or name in self._begun:
                self._forwards, self._begun = self._forwards + 1, set()
            self._begun.add(name)
        wanted = self._wants(name)
        if wanted and self._flow is not None:
            self._flow.watch(name, reading.current, len(steps), stepped=True)
        steps.add(reading, wanted)

    def _complete(self, name: str) -> None:
        """The sequence that the stepped layer was in is over."""
        sequence = self._steps[name].finish()
        if sequence is not None and shown(name) not in self.unreadable:
            self._observe(name, sequence, 0)

    def _complete_whole(self) -> None:
        """The last sequence of every stepped layer is over, unless it is shorter than those before."""
        for name, steps in self._steps.items():
            known = self._layers.get(name)
            if known is None or len(steps) == known.info.timesteps:
                self._complete(name)

    def _norm_of(self, current: Tensor) -> tuple[Norm | None, Tensor | None]:
        """The batch norm that made this current, and which neurons it drove; None where another did."""
        before, self._before = (
            self._before,
            None,
        )  # keeps the current and its graph alive no longer than needed
        return (before[0], before[2]) if before is not None and before[1] is current else (None, None)

    @torch.no_grad()
    def _observe(
        self, name: str, reading: Reading, first: int, norm: Norm | None = None, driven: Tensor | None = None
    ) -> None:
        adapter, current, v = self._adapters[name], reading.current, reading.v
        if driven is None:
            driven = (current != 0).flatten(0, 1).any(0)
        shape = v.shape[2:] or (1,)
        seen = (driven * DRIVEN).to(torch.uint8).expand(shape).flatten().contiguous()
        statistics = self._meter.measure(v, reading.kappa, reading.v_th, adapter, seen)
        census = Census(seen.reshape(shape).cpu().numpy())
        before = self._layers.get(name)
        info = describe(shown(name), adapter, reading, norm, self._meter.epsilon, self._meter.what_if)
        info = replace(
            info,
            fan_out=self._fan_out.get(name, info.fan_out),
            repeated_input=repeated(current) if before is None else before.info.repeated_input,
        )
        layer = LayerAccumulation(info, statistics, census)
        if before is not None:
            timesteps = max(before.info.timesteps, first + len(v))
            layer = before.widened(0, timesteps) + layer.widened(first, timesteps, before.info)
        self._layers[name] = layer
        if norm is not None and bool((layer.census.seen & DRIVEN).all()):
            self._fully_driven.add(norm)
        if self._flow is not None and not adapter.stepped:
            self._flow.watch(name, current, first)

    def _place(self, name: str, timesteps: int, wanted: bool) -> int:
        """Which timestep of its sequence this call of a layer starts at, from 0."""
        if self._position is None:
            before = self._layers.get(name)
            if wanted and before is not None and before.info.timesteps != timesteps:
                raise BadInput(
                    f"layer {shown(name)} ran with T={before.info.timesteps}, then with T={timesteps}",
                    "record each T on its own, or call new_sequence() first if you step the network yourself",
                )
            return 0
        if name in self._ran:
            raise BadInput(
                f"layer {shown(name)} ran twice within one forward of a network stepped from outside",
                "give the network whole sequences, so that its timesteps can be told from its calls",
            )
        self._ran.add(name)
        first = self._position.get(name, 0)
        self._position[name] = first + timesteps
        return first


def shown(name: str) -> str:
    """The name of a neuron layer as tables show it: that of the layer it belongs to."""
    return name.removesuffix(".neuron")
