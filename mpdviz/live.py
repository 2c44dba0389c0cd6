"""Recording while a network runs: `with mpdviz.record(model) as mpd: ...` around any forward passes."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from torch import nn
from typing_extensions import override

from mpdviz.accumulations.contents import Contents
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.api import Recording
from mpdviz.recording.recorder import Recorder
from mpdviz.surrogates import EPSILON


class LiveRecording(Recording):
    """A recording under way, which can be read inside the `with` block too."""

    def __init__(self, recorder: Recorder, origin: Mapping[str, str] | None = None) -> None:
        """Read from `recorder`; `origin` is what is known of the network and the data."""
        self._recorder, self._origin = recorder, origin or {}
        self._network: Mapping[str, str] = {}  # known once the recording has ended

    @property
    @override
    def contents(self) -> Contents:
        network = self._network or self._recorder.network()
        return Contents(self.layers, self.left_out, network, self._origin)

    @property
    @override
    def layers(self) -> Mapping[int, LayerAccumulation]:
        return self._recorder.layers

    @property
    @override
    def left_out(self) -> Mapping[str, str]:
        return self._recorder.left_out

    def new_sequence(self) -> None:
        """Say that the next call of each layer is timestep 1, for a network stepped by a loop over time."""
        self._recorder.new_sequence()

    def _keep_network(self) -> None:
        """Note which network it is of; that goes on living, and may change."""
        self._network = self._recorder.network()


@contextmanager
def record(
    model: nn.Module,
    *,
    layers: Collection[int | str] | None = None,
    every: int = 1,
    gradients: bool = False,
    what_if: Collection[float] = (),
    epsilon: float = EPSILON,
) -> Iterator[LiveRecording]:
    """Record the membrane potentials of every forward pass of `model` inside the `with` block.

    Args:
        model: any module that spikes, run inside the block as usual: through neurons of any framework, or
            code of your own that turns potentials into spikes by a `torch.autograd.Function` or straight
            through. What the recording cannot take as it is, it leaves out with a warning, and lists in
            `left_out`; it never raises inside the model's forward or backward, and puts nothing on it.
        layers: numbers (from 1, in execution order) or names of the layers to record, a module's path meaning
            all places it serves; None records all.
        every: record every n-th sequence, for use inside training. A sequence is a forward pass, or what a
            network that is stepped from outside makes of many.
        gradients: also sum up the gradients of the backward passes that follow the recorded forwards.
        what_if: other widths kappa for which to count, exactly, the potentials that would be inside.
        epsilon: share of max h that bounds the available interval of a surrogate of infinite support.

    Raises:
        BadInput: the model is compiled, or an option is out of range.
    """
    recorder = Recorder(
        model, layers=layers, every=every, gradients=gradients, what_if=what_if, epsilon=epsilon, soon=True
    )
    with observing(recorder, {"network": type(model).__name__}) as recording:
        yield recording


@contextmanager
def observing(recorder: Recorder, origin: Mapping[str, str] | None = None) -> Iterator[LiveRecording]:
    """Let `recorder` observe inside the `with` block; `origin` goes into `Contents`."""
    recording = LiveRecording(recorder, origin)
    recorder.attach()
    try:
        yield recording
    finally:
        recorder.detach()
    # Not where the block failed: an error of ours must never take the place of the user's.
    recorder.raise_warnings()
    recording._keep_network()
