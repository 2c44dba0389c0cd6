"""Hooks over a model: every neuron layer's potentials, streamed into accumulations.

Reads top-down: `attach` puts an observer on every neuron layer, `_observe` turns each forward into
statistics and adds them up, `detach` takes everything off again. Nothing is changed on the way: outputs,
random numbers and gradients stay bit for bit what they were.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mpdviz.errors import BadInput
from mpdviz.neurons import Neuron
from mpdviz.norm import TDBatchNorm1d, TDBatchNorm2d
from mpdviz.recording.accumulation import LayerAccumulation, LayerInfo
from mpdviz.recording.census import DRIVEN, Census
from mpdviz.recording.fanout import FanOutTracer
from mpdviz.recording.flowmeter import FlowMeter
from mpdviz.recording.meter import Meter
from mpdviz.recording.statistics import shift
from mpdviz.surrogates import EPSILON

Norm = TDBatchNorm1d | TDBatchNorm2d


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
        self._neurons = {name: module for name, module in model.named_modules() if isinstance(module, Neuron)}
        if not self._neurons:
            raise BadInput(
                f"{type(model).__name__} holds no mpdviz neurons", "give a model with LIF or PLIF layers"
            )
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
        self._before: tuple[Norm, Tensor, Tensor] | None = None  # latest norm, its output, driven neurons
        self._fully_driven: set[nn.Module] = set()

    def _check_layers(self) -> None:
        names = [shown(name) for name in self._neurons]
        for wanted in self._layers_wanted or ():
            if wanted not in names and wanted not in range(1, len(names) + 1):
                raise BadInput(
                    f"there is no neuron layer {wanted!r}",
                    f"give numbers from 1 to {len(names)}, or names such as {names[0]!r}",
                )

    @property
    def layers(self) -> dict[int, LayerAccumulation]:
        """The accumulations by layer number, from 1 in the order in which the layers first ran."""
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
        for name, neuron in self._neurons.items():
            observer = partial(self._observe, name, neuron)
            neuron.observers.append(observer)
            self._detachers.append(partial(neuron.observers.remove, observer))
            self._handles.append(neuron.register_forward_hook(partial(self._mark, name)))
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
        self._layers, self._forwards = {}, 0
        if self._flow is not None:
            self._flow.flows = {}

    def new_sequence(self) -> None:
        """The next call of each layer is timestep 1, for a network stepped from outside."""
        self._position = {}

    def _begin(self, *_: Any) -> None:
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
        self._traced, self._fan_out = True, tracer.fan_out
        for name, layer in self._layers.items():
            layer.info = replace(layer.info, fan_out=self._fan_out[name])

    def _stop_tracing(self) -> None:
        if self._tracer is not None:
            self._tracer.__exit__(None, None, None)
            self._tracer = None

    def _mark(self, name: str, _: nn.Module, __: Any, spikes: Tensor) -> None:
        if self._tracer is not None:
            self._tracer.mark(name, spikes)

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
    def _observe(
        self,
        name: str,
        neuron: Neuron,
        current: Tensor,
        v: Tensor,
        spikes: Tensor,
        kappa: Tensor,
        v_th: Tensor,
    ) -> None:
        del spikes  # v >= v_th says the same
        norm, driven = None, None
        if self._before is not None and self._before[1] is current:
            norm, _, driven = self._before
        self._before = None  # keeps the current and its graph alive no longer than needed
        wanted = self._wants(name)
        first = self._place(name, len(v), wanted)
        if not wanted:
            return
        if driven is None:
            driven = (current != 0).flatten(0, 1).any(0)
        shape = v.shape[2:] or (1,)
        seen = (driven * DRIVEN).to(torch.uint8).expand(shape).flatten().contiguous()
        statistics = self._meter.measure(v, kappa, neuron.v_th, v_th, neuron.surrogate, seen)
        census = Census(seen.reshape(shape).cpu().numpy())
        before = self._layers.get(name)
        info = self._describe(name, neuron, kappa, v_th, norm)
        info = replace(info, fan_out=self._fan_out.get(name, info.fan_out))
        if before is None:
            repeated = len(current) > 1 and all(torch.equal(current[0], step) for step in current[1:])
            info = replace(info, repeated_input=repeated)
        else:
            info = replace(info, repeated_input=before.info.repeated_input)
        layer = LayerAccumulation(info, statistics, census)
        if before is not None:
            timesteps = max(before.info.timesteps, first + len(v))
            layer = before.widened(0, timesteps) + layer.widened(first, timesteps, before.info)
        self._layers[name] = layer
        if norm is not None and bool((layer.census.seen & DRIVEN).all()):
            self._fully_driven.add(norm)
        if self._flow is not None:
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

    def _describe(
        self, name: str, neuron: Neuron, kappa: Tensor, v_th: Tensor, norm: Norm | None
    ) -> LayerInfo:
        epsilon = self._meter.epsilon
        widths = tuple(kappa.tolist())
        shifts = shift(v_th, neuron.v_th).tolist()
        thresholds = tuple(neuron.v_th + above for above in shifts)
        ends = [
            neuron.surrogate.interval(threshold, width, epsilon)
            for threshold, width in zip(thresholds, widths, strict=True)
        ]
        return LayerInfo(
            name=shown(name) or type(neuron).__name__,
            v_th=neuron.v_th,
            thresholds=thresholds if any(shifts) else (),
            decay=neuron.decay_value,
            surrogate=neuron.surrogate.name,
            epsilon=None if neuron.surrogate.compact else epsilon,
            kappa=widths,
            lower=tuple(lower for lower, _ in ends),
            upper=tuple(upper for _, upper in ends),
            gamma=() if norm is None else tuple(norm.weight.detach().tolist()),
            beta=() if norm is None else tuple(norm.bias.detach().tolist()),
            what_if=self._meter.what_if,
        )


def shown(name: str) -> str:
    """The name of a neuron layer as tables show it: that of the layer it belongs to."""
    return name.removesuffix(".neuron")
