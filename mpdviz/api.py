"""The face of the library: `with mpdviz.record(model) as mpd: ...` around any forward passes."""

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
from torch import nn

from mpdviz import metrics
from mpdviz.errors import BadInput
from mpdviz.recording.accumulation import LayerAccumulation
from mpdviz.recording.recorder import Recorder
from mpdviz.surrogates import EPSILON


class Recording:
    """What was recorded so far, as tables and figures; it can be read inside the `with` block too."""

    def __init__(self, recorder: Recorder) -> None:
        """Read from `recorder`."""
        self._recorder = recorder

    @property
    def layers(self) -> list[LayerAccumulation]:
        """The accumulations behind the tables, one a neuron layer in execution order."""
        return self._recorder.layers

    def table(self) -> pd.DataFrame:
        """The main table, one row a neuron layer and timestep; columns as in `mpdviz list columns`."""
        return metrics.table(self.layers)

    def histogram(self, layer: int) -> pd.DataFrame:
        """Histogram of the potentials of one layer, counted from 1; one row a timestep and bin.

        Raises:
            BadInput: no such layer.
        """
        check_layer(layer, len(self.layers))
        return metrics.histogram(layer, self.layers[layer - 1])


@contextmanager
def record(model: nn.Module, *, epsilon: float = EPSILON) -> Iterator[Recording]:
    """Record the membrane potentials of every forward pass of `model` inside the `with` block.

    Args:
        model: any module that holds neurons of `mpdviz.neurons`, run inside the block as usual.
        epsilon: share of max h that bounds the available interval of a surrogate of infinite support.

    Raises:
        BadInput: the model holds no such neurons.
    """
    recorder = Recorder(model, epsilon=epsilon)
    recorder.attach()
    try:
        yield Recording(recorder)
    finally:
        recorder.detach()


def check_layer(layer: int, layers: int) -> None:
    """Refuse a layer number that does not exist.

    Raises:
        BadInput: `layer` is not in 1..`layers`.
    """
    if not 1 <= layer <= layers:
        raise BadInput(f"there is no layer {layer}", f"layers count from 1 to {layers}")
