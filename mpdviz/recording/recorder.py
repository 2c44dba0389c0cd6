"""Hooks over a model: every neuron layer's potentials, streamed into accumulations.

Reads top-down: `attach` puts an observer on every neuron layer, `_observe` turns each forward into
statistics and adds them up, `detach` takes everything off again. Nothing is changed on the way: outputs,
random numbers and gradients stay bit for bit what they were.
"""

from collections.abc import Callable
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
from mpdviz.recording.fanout import FanOutTracer
from mpdviz.recording.statistics import measure
from mpdviz.surrogates import EPSILON


class Recorder:
    """Streams the potentials of every neuron layer of `model` into one accumulation a layer."""

    def __init__(self, model: nn.Module, *, epsilon: float = EPSILON) -> None:
        """Look for neuron layers; nothing is attached yet.

        Args:
            model: any module that holds neurons of `mpdviz.neurons`.
            epsilon: share of max h that bounds the available interval of an infinite support.

        Raises:
            BadInput: the model holds no such neurons, or `epsilon` is not in (0, 1).
        """
        if not 0 < epsilon < 1:
            raise BadInput(f"epsilon={epsilon}", "give a share between 0 and 1, e.g. 0.1")
        self._model, self._epsilon = model, epsilon
        self._neurons = {name: module for name, module in model.named_modules() if isinstance(module, Neuron)}
        if not self._neurons:
            raise BadInput(
                f"{type(model).__name__} holds no mpdviz neurons", "give a model with LIF or PLIF layers"
            )
        self._layers: dict[str, LayerAccumulation] = {}
        self._handles: list[RemovableHandle] = []
        self._detachers: list[Callable[[], None]] = []
        self._tracer: FanOutTracer | None = None
        self._normed: tuple[Tensor, float] | None = None

    @property
    def layers(self) -> list[LayerAccumulation]:
        """One accumulation a neuron layer, in the order in which the layers first ran."""
        return list(self._layers.values())

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
        self._handles.append(self._model.register_forward_pre_hook(self._start_tracing))
        self._handles.append(self._model.register_forward_hook(self._stop_tracing, always_call=True))

    def detach(self) -> None:
        """Stop observing; what was recorded stays."""
        for handle in self._handles:
            handle.remove()
        for detach in self._detachers:
            detach()
        self._handles, self._detachers, self._normed = [], [], None

    @torch.no_grad()
    def _observe(
        self, name: str, neuron: Neuron, current: Tensor, v: Tensor, spikes: Tensor, kappa: Tensor
    ) -> None:
        statistics = measure(v, spikes, kappa, neuron.v_th, neuron.surrogate, self._epsilon)
        if name in self._layers:
            self._layers[name].statistics += statistics
        else:
            gamma_mean = float("nan")
            if self._normed is not None and self._normed[0] is current:
                gamma_mean = self._normed[1]
            self._layers[name] = LayerAccumulation(
                self._describe(name, neuron, kappa, gamma_mean), statistics
            )

    def _describe(self, name: str, neuron: Neuron, kappa: Tensor, gamma_mean: float) -> LayerInfo:
        widths = tuple(kappa.tolist())
        ends = [neuron.surrogate.interval(neuron.v_th, width, self._epsilon) for width in widths]
        return LayerInfo(
            name=name.removesuffix(".neuron") or type(neuron).__name__,
            v_th=neuron.v_th,
            decay=neuron.decay_value,
            gamma_mean=gamma_mean,
            surrogate=neuron.surrogate.name,
            epsilon=None if neuron.surrogate.compact else self._epsilon,
            kappa=widths,
            lower=tuple(lower for lower, _ in ends),
            upper=tuple(upper for _, upper in ends),
        )

    def _remember_norm(self, norm: TDBatchNorm1d | TDBatchNorm2d, _: Any, output: Tensor) -> None:
        self._normed = (output, float(norm.weight.detach().mean()))

    # The wiring is read off the first forward pass and is the same in every later one.

    def _start_tracing(self, *_: Any) -> None:
        if not self._layers:
            self._tracer = FanOutTracer()
            self._tracer.__enter__()  # type: ignore[no-untyped-call]

    def _mark(self, name: str, _: nn.Module, __: Any, spikes: Tensor) -> None:
        if self._tracer is not None:
            self._tracer.mark(name, spikes)

    def _stop_tracing(self, *_: Any) -> None:
        if self._tracer is None:
            return
        self._tracer.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        for name, fan_out in self._tracer.fan_out.items():
            if name in self._layers:
                layer = self._layers[name]
                layer.info = replace(layer.info, fan_out=fan_out)
        self._tracer = None
