"""The face of the library: `with mpdviz.record(model) as mpd: ...` around any forward passes."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pandas as pd
from torch import nn

from mpdviz import metrics
from mpdviz.errors import BadInput
from mpdviz.recording.accumulation import LayerAccumulation
from mpdviz.recording.recorder import Recorder
from mpdviz.surrogates import EPSILON


class Recording:
    """What was recorded so far, as tables; it can be read inside the `with` block too."""

    def __init__(self, recorder: Recorder) -> None:
        """Read from `recorder`."""
        self._recorder = recorder

    @property
    def layers(self) -> dict[int, LayerAccumulation]:
        """The accumulations behind the tables, by layer number from 1."""
        return self._recorder.layers

    def new_sequence(self) -> None:
        """Say that the next call of each layer is timestep 1, for a network stepped by a loop over time."""
        self._recorder.new_sequence()

    def table(self) -> pd.DataFrame:
        """The main table, one row a neuron layer and timestep; columns as in `mpdviz list columns`."""
        return metrics.table(self.layers)

    def histogram(self, layer: int) -> pd.DataFrame:
        """Histogram of the potentials of one layer, counted from 1; one row a timestep and bin.

        Raises:
            BadInput: no such layer.
        """
        check_layer(layer, self.layers)
        return metrics.histogram(layer, self.layers[layer])


@contextmanager
def record(
    model: nn.Module,
    *,
    layers: Collection[int | str] | None = None,
    every: int = 1,
    gradients: bool = False,
    what_if: Collection[float] = (),
    epsilon: float = EPSILON,
) -> Iterator[Recording]:
    """Record the membrane potentials of every forward pass of `model` inside the `with` block.

    Args:
        model: any module that holds neurons of `mpdviz.neurons`, run inside the block as usual.
        layers: numbers (from 1, in execution order) or names of the layers to record; None records all.
        every: record every n-th forward pass, for use inside training.
        gradients: also sum up the gradients of the backward passes that follow the recorded forwards.
        what_if: other widths kappa for which to count, exactly, the potentials that would be inside.
        epsilon: share of max h that bounds the available interval of a surrogate of infinite support.

    Raises:
        BadInput: the model holds no such neurons or is compiled, or an option is out of range.
    """
    recorder = Recorder(
        model, layers=layers, every=every, gradients=gradients, what_if=what_if, epsilon=epsilon
    )
    recorder.attach()
    try:
        yield Recording(recorder)
    finally:
        recorder.detach()


def check_layer(layer: int, known: Collection[int]) -> None:
    """Refuse a layer number that does not exist.

    Raises:
        BadInput: `layer` is not in `known`.
    """
    if layer not in known:
        raise BadInput(
            f"there is no layer {layer}",
            f"layers count from {min(known, default=1)} to {max(known, default=1)}",
        )
