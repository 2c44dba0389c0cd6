"""Spikes found in a forward, by a call of a function or written straight: whose they are; counted there."""

from collections.abc import Mapping
from types import FrameType
from typing import Any

from torch import Tensor, nn

from mpdviz.recording.adapters import Adapter
from mpdviz.recording.counting import Counting
from mpdviz.recording.sites.spikes import Spiked, Spikes
from mpdviz.recording.trail import Call, Trail
from mpdviz.surrogates.steps import Probe


class Finder:
    """Reads what spikes, gives it to the neuron that fired, and has it counted."""

    def __init__(
        self, trail: Trail, counting: Counting, known: Mapping[int, Adapter], epsilon: float
    ) -> None:
        """Find spikes along a trail.

        Args:
            trail: where the forward is.
            counting: what counts them.
            known: adapters of neurons, by the identity of their module.
            epsilon: share of max |h| that bounds an infinite support.
        """
        self._trail, self._counting, self._known = trail, counting, known
        self._layers, self._spikes = counting.layers, Spikes(epsilon)
        self._firing: dict[int, bool] = {}  # by place

    def called(self, cls: type, args: tuple[Any, ...], result: Any, frame: FrameType | None) -> None:
        """Some function was called, by whoever, within a call of the network's."""
        call = self._owner(frame)
        adapter = self._known.get(id(call.module))
        if adapter is not None and (adapter.own or isinstance(result, tuple)):
            return  # what is known of it does without
        place = self._trail.here(frame)
        if place is None or (adapter is not None and not self._fires(adapter, place)):
            return
        found = self._spikes.read(cls, args, result, self._counting.forward)
        if found is None:
            return
        u = (
            None
            if isinstance(found, str)
            else [arg for arg in args if isinstance(arg, Tensor)][found.argument]
        )
        self._take_found(call, adapter, place, found, u, result)

    def _owner(self, frame: FrameType | None) -> Call:
        """The call of the neuron that fires in `frame`, or of the innermost module."""
        stack = self._trail.stack
        # A neuron's spike function may be a module in it.
        call = next((outer for outer in reversed(stack) if id(outer.module) in self._known), None)
        if call is not None or not self._known:
            return call or stack[-1]
        # Its code may be run without calling it, as memory-saving containers do.
        while frame is not None and frame is not stack[-1].frame:
            module = frame.f_locals.get("self") if frame.f_code.co_varnames[:1] == ("self",) else None
            if isinstance(module, nn.Module) and id(module) in self._known:
                return self._trail.uncalled(module, stack[-1])
            frame = frame.f_back
        return stack[-1]

    def _fires(self, adapter: Adapter, place: int) -> bool:
        """Whether a spike function that is called there is what fires; a place stays what it is."""
        known = self._firing.get(place)
        if known is None:
            codes = [code for code, _ in self._trail.source(place)]
            known = self._firing[place] = adapter.fires(codes)
        return known

    def straight(self, u: Tensor, result: Tensor, spike: Probe, frame: FrameType | None) -> None:
        """Spikes were written straight through."""
        stack = self._trail.stack
        place = self._trail.here(frame) if stack else None
        if place is None:
            return
        call = self._owner(frame)
        adapter = self._known.get(id(call.module))
        if adapter is not None and adapter.own:
            return
        if adapter is not None and not self._fires(adapter, place):
            return
        found = self._spikes.read_alone(place, spike, u, result, self._counting.forward)
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
        with self._counting.lock:
            layer = self._layers.at(place, call, adapter)
            if layer is None:
                return
            if isinstance(found, str):
                known = "" if adapter is None else adapter.silent
                self._counting.refute(layer, known or found)
                return
            if u is None or self._layers.is_copy(layer, place, found.u, live=result.requires_grad):
                return
            self._counting.site(layer, call, found, u, result, straight=straight)
