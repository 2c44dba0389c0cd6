"""A network observed: every spike site's potentials, streamed into accumulations.

Reads top-down: `attach` begins to look, `_spiked` is told of every call of a function and `_read` of every
call of our own neurons, `found` says whose spikes they are and `counting` counts them, `detach` looks
away. Nothing is put on the network and nothing is changed on the way: outputs, random numbers and gradients
stay bit for bit what they were. Nothing is ever raised inside the network's forward or backward; what
cannot be read is left out and listed.
"""

import atexit
from collections.abc import Callable, Collection
from functools import partial
from math import inf
from types import FrameType
from typing import Any

import torch
from torch import nn

from mpdviz.accumulations.layer import LayerAccumulation, LayerInfo
from mpdviz.errors import BadInput
from mpdviz.recording import adapters
from mpdviz.recording.adapters import Adapter, Native
from mpdviz.recording.complaints import NOT_WANTED
from mpdviz.recording.counting import Counting
from mpdviz.recording.description import Description
from mpdviz.recording.found import Finder
from mpdviz.recording.identity import identity, strategies
from mpdviz.recording.layers import Layer
from mpdviz.recording.measure.reading import Reading
from mpdviz.recording.norms import NORMS
from mpdviz.recording.sites import functions
from mpdviz.recording.sites.straight import Search
from mpdviz.recording.trail import AWAY, Call, Trail
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
        soon: bool = False,
    ) -> None:
        """Look for what is known of the neurons; nothing is attached yet. Arguments are `mpdviz.record`'s.

        `soon` is that of `measure.meter.Meter`.
        """
        # Compiled as a whole, inside, or in place by `Module.compile`.
        if any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules()):
            raise BadInput("a compiled model cannot be observed", "record the module it was compiled from")
        if not 0 < epsilon < 1:
            raise BadInput(f"`epsilon` {epsilon}", "give a share between 0 and 1, e.g. 0.1")
        if every < 1:
            raise BadInput(f"`every` {every}", "give 1 to record every forward pass, 2 for every second, ...")
        if not all(0 < width < inf for width in what_if):
            raise BadInput(f"`what_if` widths {list(what_if)}", "give positive numbers")
        self._model, self._selected = model, layers
        self._check_selected()
        self._adapters = adapters.find(model)
        self._known: dict[int, Adapter] = {id(adapter.module): adapter for adapter in self._adapters.values()}
        self._trail = Trail(model, heard=lambda module: gradients or isinstance(module, NORMS))
        self._counting = Counting(
            self._trail,
            layers=layers,
            every=every,
            gradients=gradients,
            what_if=tuple(float(width) for width in what_if),
            epsilon=epsilon,
            soon=soon,
        )
        self._layers, self._complaints = self._counting.layers, self._counting.complaints
        self._finder = Finder(self._trail, self._counting, self._known, epsilon)
        self._search = Search(partial(self._safely, self._finder.straight), model)
        self._strategies = strategies(model)
        self._ran: set[int] = set()  # modules that were called, by identity
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
        refuted = {self._layers.name(layer): layer.refuted for layer in self._layers if layer.refuted}
        return self._complaints.left_out | refuted

    @property
    def layers(self) -> dict[int, LayerAccumulation]:
        """The accumulations by layer number, from 1 in the order in which the layers first ran."""
        with self._counting.lock:
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
        flow = None if self._counting.flow is None else self._counting.flow.flows.get(id(layer))
        strategy = self._strategies.get(layer.path.removesuffix(".neuron"))
        return Description(
            layer,
            self._layers.name(layer),
            self._counting.meter,
            flow,
            self._counting.wiring.fan_out.get(id(layer), float("nan")),
            self._counting.inputs,
            follows_data=strategy is not None and strategy.training,
        )

    def attach(self) -> None:
        """Start observing."""
        # An interpreter that shuts down while somebody observes would run hooks on modules half taken apart.
        atexit.register(self.detach)
        self._trail.attach()
        self._detachers.append(self._trail.detach)
        self._detachers.append(functions.watch(self._spiked, lambda: self._trail.calls))
        for adapter in self._adapters.values():
            if isinstance(adapter, Native):
                self._detachers.append(adapter.watch(partial(self._safely, self._read)))
        if self._counting.flow is not None:
            self._counting.flow.attach()

    def detach(self) -> None:
        """Stop observing; what was recorded stays."""
        if not self._detachers:
            return
        atexit.unregister(self.detach)
        self._search.end()
        self._counting.wiring.stop()
        for detach in self._detachers:
            detach()
        self._detachers = []
        if self._counting.flow is not None:
            self._counting.flow.detach()
        with self._counting.lock:
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
            if not self._counting.wants(layer):
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
                and not self._counting.sequences.told
            ):
                self._complaints.never_reset(self._layers.name(layer), at.timestep + 1)
        if self._ran and not recorded and not self.left_out:
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
        self._counting.sequences.clear()
        self._counting.meter.begin()
        if self._counting.flow is not None:
            self._counting.flow.flows = {}

    def new_sequence(self) -> None:
        """The next call of each layer is timestep 1, for a network stepped from outside."""
        self._counting.sequences.told += 1

    def _begin(self) -> None:
        with self._counting.lock:
            self._counting.forward += 1
        self._counting.wiring.begin_forward()
        self._search.begin(self._model.training)

    def _enter(self, call: Call) -> None:
        adapter = self._known.get(id(call.module))
        if adapter is not None:
            call.start = self._safely(adapter.start, call)

    def _leave(self, call: Call, output: Any) -> None:
        if output is not None:  # it did not fail
            self._ran.add(id(call.module))
        self._counting.norms.left(call, output)
        if self._counting.flow is not None:
            self._counting.flow.left(call, output)
        adapter = self._known.get(id(call.module))
        if adapter is None or output is None:
            return
        if not call.fired and not isinstance(adapter, Native):
            self._safely(self._counting.unseen, call, adapter, output)
        for layer, passes in call.fired.items():
            self._counting.wiring.left(layer, output, passes)
        self._safely(adapter.ended, call, output)

    def _end(self, output: Any) -> None:
        self._search.end()
        self._forget()
        self._counting.wiring.end_forward(output)

    def _forget(self) -> None:
        """Keep no activation alive."""
        self._counting.norms.forget()
        self._layers.forget_last()

    def _safely(self, do: Callable[..., Any], *args: Any) -> Any:
        """Do it; whatever it raises is a complaint, never an error of the network's."""
        # The user's functions that are evaluated on the way are nobody's spikes.
        graded = torch.is_grad_enabled()
        if graded:
            torch.set_grad_enabled(False)
        AWAY.depth += 1
        try:
            return do(*args)
        except Exception as error:
            self._complaints.failed(self._trail.stack[-1].path if self._trail.stack else "", error)
            return None
        finally:
            AWAY.depth -= 1
            if graded:
                torch.set_grad_enabled(True)

    def _spiked(self, cls: type, args: tuple[Any, ...], result: Any, frame: FrameType | None) -> None:
        """Some function was called, by whoever."""
        if self._trail.stack:
            self._safely(self._finder.called, cls, args, result, frame)

    def _read(self, reading: Reading) -> None:
        """Neurons of ours ran."""
        if self._trail.stack:
            call = self._trail.stack[-1]
            self._counting.reading(call, self._known[id(call.module)], reading)
