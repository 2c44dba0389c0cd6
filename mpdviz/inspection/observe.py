"""Recording a network over a split of a data set, batch by batch, by one process or several."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz import data
from mpdviz.accumulations.contents import Contents
from mpdviz.accumulations.layer import merge
from mpdviz.analysis.words import percent
from mpdviz.api import Recording
from mpdviz.data import Dataset
from mpdviz.errors import BadInput
from mpdviz.inspection.options import Options
from mpdviz.inspection.outcome import Judge
from mpdviz.kernels import backends
from mpdviz.live import LiveRecording, observing
from mpdviz.norm import frozen_statistics
from mpdviz.recording.recorder import Recorder
from mpdviz.system.devices import pick_device
from mpdviz.system.memory import keep_large_buffers
from mpdviz.system.progress import bar
from mpdviz.system.team import Team, team

Forward = Callable[[Tensor, Tensor, LiveRecording], tuple[Any, Tensor | None]]
"""Runs one batch `x`, `y` from rest under a recording; what the network returned, and the class scores
`[N, K]` in it, None where it has none."""


class Observation:
    """A network, a way to run it and the samples to run it on; everything is checked before it starts."""

    def __init__(
        self,
        network: nn.Module,
        forward: Forward,
        dataset: Dataset,
        options: Options,
        judge: Judge,
        origin: Mapping[str, str],
    ) -> None:
        """Find the device, the samples and the neurons.

        Args:
            network: what holds the neurons.
            forward: see `Forward`.
            dataset: the data.
            options: which part of them, and what to record.
            judge: what holds outputs against the targets.
            origin: what the recording says of the network, a value each by its name.

        Raises:
            BadInput: no such split, device or backend, no neurons, or an option out of range.
        """
        self.split = options.split or ("all" if dataset.name.startswith("npz:") else "test")
        samples = len(dataset.split(self.split))
        if not samples:
            problem = f"the {self.split} split of {dataset.name} is empty"
            raise BadInput(problem, "choose another `split`, e.g. all")
        self._network, self._forward, self._dataset, self._options = network, forward, dataset, options
        self._judge, self._origin = judge, dict(origin)
        self._device = pick_device(options.device)
        self._order = torch.arange(samples)[: options.limit]
        self._backend = backends.resolve(options.backend)
        self._recorder = Recorder(
            network, gradients=options.gradients, what_if=options.what_if, epsilon=options.epsilon
        )
        data.batches(dataset, self.split, options.batch_size)  # refuses what holds no samples

    def run(self) -> tuple[Recording | None, str]:
        """Record; the recording, None for a process that does not lead, and over what it ran, in words.

        Raises:
            BadInput: gradients of an output that has no loss, or an output that cannot be had.
        """
        keep_large_buffers()
        options, network = self._options, self._network
        network.to(self._device)
        with (
            _mode(network, training=options.mode == "train"),
            team() as ranks,
            backends.using(self._backend),
            torch.set_grad_enabled(options.gradients),
            frozen_statistics(network),
            observing(self._recorder) as recording,
        ):
            *counts, unjudged = self._batches(ranks, recording)
            gathered = ranks.gather((dict(recording.layers), dict(recording.left_out), unjudged, counts))
        if not ranks.leads:
            return None, ""
        layers = reduce(merge, (part for part, *_ in gathered if part))
        left_out = {name: why for _, part, *_ in gathered for name, why in part.items()}
        samples, judged, correct = (sum(numbers) for numbers in zip(*(c for *_, c in gathered), strict=True))
        unjudged = next(filter(None, (why for *_, why, _ in gathered)), "")
        accuracy = f"{percent(correct / judged, 2)}" if judged else f"not measured: {unjudged}"
        origin = {
            "data": self._dataset.name,
            "split": self.split,
            "samples": str(samples),
            "accuracy": accuracy,
        }
        mode = ""
        if options.mode == "train":
            mode = ", batch statistics"
            origin["mode"] = "train: the batch norms took each batch's own statistics"
        contents = Contents(layers, left_out, recording.contents.network, {**self._origin, **origin})
        told = f"{self._dataset.name} {self.split}{mode}, {samples} samples, accuracy {accuracy}"
        return Recording(contents), told

    def _batches(self, ranks: Team, recording: LiveRecording) -> tuple[int, int, int, str]:
        """Of this process's batches: samples, those judged, those classified right; why others were not."""
        options, judge = self._options, self._judge
        batches = data.batches(self._dataset, self.split, options.batch_size, order=self._order)
        samples = judged = correct = 0
        unjudged = ""
        with bar("recording", -(-len(self._order) // options.batch_size)) as progress:
            for number, (x, y) in enumerate(batches):
                progress.update()
                if not ranks.takes(number):
                    continue
                x, y = x.to(self._device), y.to(self._device)
                output, logits = self._forward(x, y, recording)
                samples += len(y)
                if options.gradients:
                    judge.loss_of(output, logits, y).backward()
                    self._network.zero_grad()
                complaint = judge.complaint(logits)
                if complaint or logits is None:
                    unjudged = complaint
                    continue
                judged += len(y)
                correct += judge.correct(logits, y)
        return samples, judged, correct, unjudged


@contextmanager
def _mode(network: nn.Module, *, training: bool) -> Iterator[None]:
    """Training or evaluation mode inside the block; each module's own afterwards."""
    before = {module: module.training for module in network.modules()}
    network.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode
