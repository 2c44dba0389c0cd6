"""What happens to the potentials over training: the main table of one fixed batch, every so often.

The samples are the first of the validation split, so that rows of different epochs, and of runs on the
same data, are about the same ones. They are few where nothing else is asked for (`record_samples`): a sample
is thousands of potentials, and recording is to take no more than a twentieth of the time of training.
"""

import torch

from mpdviz import data
from mpdviz.analysis import metrics
from mpdviz.data import Dataset
from mpdviz.networks.base import SpikingNetwork
from mpdviz.recording.recorder import Recorder
from mpdviz.training.sinks import Recorded

PIECE = 128
"""Samples that go through the network at once."""


class Monitor:
    """Records one network on the same samples again and again."""

    def __init__(self, network: SpikingNetwork, dataset: Dataset, samples: int) -> None:
        """Watch `network` on the first `samples` validation samples of `dataset`, or on all of fewer."""
        self._network, self._recorder = network, Recorder(network.observed)
        first = torch.arange(min(samples, len(dataset.val)))
        self._pieces = [x for x, _ in data.batches(dataset, "val", PIECE, order=first)]

    @torch.no_grad()
    def record(self, epoch: int, step: int) -> Recorded:
        """Record this moment, after `step` steps of `epoch` (from 1), in evaluation mode."""
        training = self._network.training
        self._recorder.clear()
        self._recorder.attach()
        try:
            self._network.eval()
            for x in self._pieces:
                if self._network.is_stepped:
                    self._recorder.new_sequence()
                self._network(x)
        finally:
            self._recorder.detach()
            self._network.train(training)
        layers = self._recorder.layers
        return Recorded(epoch, step, metrics.main_columns(layers), layers)
