"""What a recording says about a neuron layer besides counts: constants, widths, intervals, its batch norm."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mpdviz.accumulations.layer import LayerInfo
from mpdviz.recording.adapters import Adapter, Reading
from mpdviz.recording.measure.spec import shifts
from mpdviz.recording.norms import Norm


def named(adapters: Mapping[str, Adapter]) -> dict[str, Adapter]:
    """Adapters by the name that tables show, from those by path.

    A neuron module called `neuron` goes by the name of the layer it belongs to, a bare one by its class.
    """
    names = {}
    for path, adapter in adapters.items():
        layer = path.removesuffix(".neuron")
        name = path if layer != path and layer in adapters else layer
        names[name or type(adapter.module).__name__] = adapter
    return names


def describe(
    name: str,
    adapter: Adapter,
    reading: Reading,
    norm: Norm | None,
    epsilon: float,
    what_if: tuple[float, ...],
    *,
    follows_data: bool,
) -> LayerInfo:
    """The description of layer `name` as of this reading.

    Args:
        name: as tables show it.
        adapter: how the layer is read.
        reading: a whole sequence of it.
        norm: the batch norm that made its input, None where there is none.
        epsilon: share of max h that bounds the interval of an infinite support.
        what_if: widths counted besides.
        follows_data: whether its widths and thresholds may be of these very data.
    """
    widths: tuple[float, ...] = tuple(reading.kappa.tolist())
    above = shifts(reading.v_th, adapter.v_th).tolist()
    thresholds = tuple(adapter.v_th + shift for shift in above)
    shapes = reading.shapes_of(adapter)
    kinds = list(zip(shapes, thresholds, widths, strict=True))
    # Once a kind: a shape that is only known by what it does takes a hundred derivatives.
    intervals = {
        (shape, threshold, width): shape.interval(threshold, width, epsilon)
        for shape, threshold, width in dict.fromkeys(kinds)
    }
    ends = [intervals[kind] for kind in kinds]
    gamma, beta = _weights(norm) if adapter.predictable else ((), ())
    return LayerInfo(
        name=name,
        v_th=adapter.v_th,
        thresholds=thresholds if any(above) else (),
        decay=adapter.decay,
        surrogate="/".join(dict.fromkeys(shape.name for shape in shapes)),
        epsilon=None if all(shape.compact for shape in shapes) else epsilon,
        kappa=widths,
        lower=tuple(lower for lower, _ in ends),
        upper=tuple(upper for _, upper in ends),
        gamma=gamma,
        beta=beta,
        what_if=what_if,
        steady=not follows_data,
    )


def repeated(current: Tensor) -> bool:
    """Whether the input `[T, ...]` is the same at every timestep, as with a static image."""
    return len(current) > 1 and all(torch.equal(current[0], step) for step in current[1:])


def _weights(norm: Norm | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if norm is None:
        return (), ()
    return tuple(norm.weight.detach().tolist()), tuple(norm.bias.detach().tolist())
