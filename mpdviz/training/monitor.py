"""What happens to the potentials over training: the main table of one fixed batch, every so often.

The samples are the first of the validation split, so that rows of different epochs, and of runs on the
same data, are about the same ones. They are few: a sample is thousands of potentials, and recording is to
take no more than a twentieth of the time of training.
"""

import torch

from mpdviz import data
from mpdviz.analysis import metrics
from mpdviz.data import Dataset
from mpdviz.networks.base import SpikingNetwork
from mpdviz.recording.recorder import Recorder
from mpdviz.training.sinks import Recorded

SAMPLES = 16


class Monitor:
    """Records one network on the same samples again and again."""

    def __init__(self, network: SpikingNetwork, dataset: Dataset) -> None:
        """Watch `network` on the first SAMPLES validation samples of `dataset`."""
        self._network, self._recorder = network, Recorder(network.observed)
        self._x, _ = next(data.batches(dataset, "val", SAMPLES))

    @torch.no_grad()
    def record(self, epoch: int, step: int) -> Recorded:
        """Record this moment, after `step` steps of `epoch` (from 1), in evaluation mode."""
        training = self._network.training
        self._recorder.clear()
        self._recorder.attach()
        try:
            if self._network.is_stepped:
                self._recorder.new_sequence()
            self._network.eval()(self._x)
        finally:
            self._recorder.detach()
            self._network.train(training)
        layers = self._recorder.layers
        return Recorded(epoch, step, metrics.main_columns(layers), layers)
