"""How many synapses a spike drives: the network's wiring, read off one forward pass.

Every tensor carries the set of neuron layers whose spikes reach it without passing a weight or another
neuron: reshaping, pooling, adding and normalising hand the set on; a convolution or matrix product ends
it and is counted. A layer's fan-out is the mean over its spikes' targets,

    fan-out = sum over the synaptic operations it feeds of (connections / input elements),

where a convolution's connections leave out the taps that fall into its zero padding.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from mpdviz.kernels import backends

aten = torch.ops.aten


class FanOutTracer(TorchDispatchMode):
    """Watches the operations of one forward pass and sums up each neuron layer's fan-out."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch imports its compiler, a second and 90 MB, only to keep it away from this class.
        return False

    def __init__(self) -> None:
        """Know no layer yet."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.targets: dict[int, float] = {}
        """Summed over the emissions of each layer, by identity."""
        self.emitted: dict[int, int] = {}
        """How often each layer's spike function was called."""
        self._origins = WeakTensorKeyDictionary()  # (layer, emission)
        self._watching: list[AbstractContextManager[None]] = []  # one for each time it is entered

    def __enter__(self) -> Self:
        """Start watching."""
        # What is compiled cannot be watched; the results are the same.
        self._watching.append(backends.watched())
        self._watching[-1].__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop watching."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._watching.pop().__exit__(*error)

    def mark(self, layer: int, spikes: Tensor, emissions: int = 1) -> None:
        """Say that `spikes` are what a neuron layer emitted, by so many calls of its spike function."""
        first = self.emitted.get(layer, 0)
        self._origins[spikes] = frozenset((layer, i) for i in range(first, first + emissions))
        self.emitted[layer] = first + emissions
        self.targets.setdefault(layer, 0.0)

    def mark_again(self, layer: int, spikes: Tensor, emissions: int) -> None:
        """Say that `spikes` are a neuron layer's last so many emissions, put together out of sight."""
        last = self.emitted.get(layer, 0)
        self._origins[spikes] = frozenset((layer, i) for i in range(last - emissions, last))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation as it is; note which layers' spikes it consumes or hands on."""
        if torch.is_inference_mode_enabled() and func not in _SYNAPTIC:
            # Without autograd, composite operations such as `linear` come in one piece.
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        result = func(*args, **(kwargs or {}))
        count = _SYNAPTIC.get(func)
        if count is not None:
            for operand, targets in count(args, result):
                # What several timesteps were stacked to goes through the synapse at once.
                for layer, _ in self._origins.get(operand, ()):
                    self.targets[layer] += targets
            return result
        origins = frozenset().union(*(self._origins.get(leaf, ()) for leaf in _tensors(args)))
        if origins:
            for leaf in _tensors(result):
                self._origins[leaf] = origins | self._origins.get(leaf, frozenset())
        return result


class Wiring:
    """Reads the fan-out off the first whole forward pass; in every later one it is the same."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.fan_out: dict[int, float] = {}
        """By layer, by identity; empty until a forward was whole."""
        self._tracer: FanOutTracer | None = None
        self._thread = 0  # whose forward is watched: modes belong to threads
        self._known = False

    def begin_forward(self) -> None:
        """A forward begins from outside."""
        if self._tracer is not None and self._thread == threading.get_ident():
            self.stop()
        if not self._known and self._tracer is None:
            self._thread = threading.get_ident()
            self._tracer = FanOutTracer()
            self._tracer.__enter__()

    def mark(self, layer: int, spikes: Tensor) -> None:
        """A neuron layer's spike function returned these."""
        if self._tracer is not None and self._thread == threading.get_ident():
            self._tracer.mark(layer, spikes)

    def left(self, layer: int, output: Any, emissions: int) -> None:
        """The forward of a module of neurons alone is over, in which one layer emitted so often."""
        output = output[0] if isinstance(output, tuple) and output else output
        watching = self._tracer is not None and self._thread == threading.get_ident()
        if watching and isinstance(output, Tensor) and self._tracer is not None:
            self._tracer.mark_again(layer, output, emissions)

    def end_forward(self, output: Any) -> bool:
        """The network gave `output`, None where it failed; whether the fan-out has become known by this."""
        if self._thread != threading.get_ident():
            return False
        tracer = self._tracer
        self.stop()
        if tracer is None or output is None or not tracer.emitted:  # read off the next forward
            return False
        self._known = True
        self.fan_out = {layer: targets / tracer.emitted[layer] for layer, targets in tracer.targets.items()}
        return True

    def stop(self) -> None:
        """Watch no longer; an interrupted forward never reaches `end_forward`."""
        if self._tracer is not None and self._thread == threading.get_ident():
            self._tracer.__exit__(None, None, None)
            self._tracer = None


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _convolution(args: tuple[Any, ...], result: Tensor) -> Iterator[tuple[Tensor, float]]:
    x, weight, _, stride, padding, dilation, transposed = args[:7]
    if transposed:
        # Every input element meets the whole kernel of its group; padding crops the output.
        yield x, float(weight[0].numel())
        return
    taps = 1.0
    for axis, size in enumerate(x.shape[2:]):
        kernel, outputs = weight.shape[2 + axis], result.shape[2 + axis]
        step, pad, spread = (values[axis % len(values)] for values in (stride, padding, dilation))
        positions = torch.arange(outputs)[:, None] * step - pad + torch.arange(kernel) * spread
        taps *= int(((positions >= 0) & (positions < size)).sum()) / size
    yield x, taps * weight.shape[0] * weight.shape[1] / x.shape[1]


def _product(first: int) -> Callable[[tuple[Any, ...], Tensor], Iterator[tuple[Tensor, float]]]:
    def count(args: tuple[Any, ...], result: Tensor) -> Iterator[tuple[Tensor, float]]:
        left, right = args[first : first + 2]
        yield left, float(right.shape[-1])
        yield right, float(left.shape[-2])

    return count


_SYNAPTIC: dict[Any, Callable[[tuple[Any, ...], Tensor], Iterator[tuple[Tensor, float]]]] = {
    aten.convolution.default: _convolution,
    aten.mm.default: _product(0),
    aten.bmm.default: _product(0),
    aten.addmm.default: _product(1),
    aten.baddbmm.default: _product(1),
}
