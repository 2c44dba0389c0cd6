"""A network of the user's own, to be trained: fed as it takes its input, from rest at every batch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from mpdviz import data
from mpdviz.config import RunConfig
from mpdviz.data import Dataset
from mpdviz.errors import BadInput
from mpdviz.inspection.inputs import Inputs
from mpdviz.inspection.options import Options
from mpdviz.inspection.outcome import first, logits_over_time
from mpdviz.inspection.resetting import Rest
from mpdviz.inspection.theirs import build
from mpdviz.inspection.trial import Trials, unmoved
from mpdviz.live import record
from mpdviz.networks import SpikingNetwork


class OwnNetwork(SpikingNetwork):
    """Wraps a module of the user's; its state dict, and so a checkpoint, is the module's own."""

    def __init__(self, config: RunConfig, dataset: Dataset, device: torch.device) -> None:
        """Build it with fresh weights of the run's seed, and find out on one sample how it is fed.

        Raises:
            BadInput: the function fails, the network does not take the data or gives no scores of its
                classes, or no neuron of it can be read.
        """
        module = build(config.model, seed=config.seed).to(device)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise BadInput(f"`model` {config.model} has no weights to train", "let it have parameters")
        rest = Rest(module)
        options = Options(time_axis=config.time_axis, repeat_input=config.repeat_input)
        with unmoved(device):
            inputs = Inputs(dataset, "train", options, device)
            trial = inputs.tried(Trials(module, rest), config.time_axis)
        super().__init__(max(trial.timesteps), dataset.sample_shape)
        self.module, self._rest, self._inputs, self._feed = module, rest, inputs, trial.feed
        self._classes = dataset.classes
        self._check_scores(dataset, device)

    @property
    @override
    def observed(self) -> nn.Module:
        return self.module

    @property
    @override
    def is_stepped(self) -> bool:
        return self._feed.stepped

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Logits `[T, N, classes]`, T = 1 of a network that returns one vector a sample.

        Raises:
            BadInput: it returns something else.
        """
        samples = x.shape[0] if self._is_static(x) else x.shape[1]
        try:
            output = self._feed.run(self.module, self._inputs.made(x, x.new_empty(0)), first)
        finally:
            self._rest.restore()  # here, in the mode that it ran in
        logits = logits_over_time(output, samples, time_axis=self._feed.time_axis)
        if logits is None or logits.shape[2] != self._classes:
            found = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise BadInput(
                f"the model returns {found} for {samples} samples of {self._classes} classes",
                f"let it return scores [N, {self._classes}], or those of every timestep",
            )
        return logits

    @override
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.module.state_dict(*args, **kwargs)

    @override
    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        loaded = self.module.load_state_dict(state_dict, *args, **kwargs)
        self._rest.take_up()
        return loaded

    @override
    def channels_last(self) -> "OwnNetwork":
        return self

    @override
    @torch.no_grad()
    def count_potentials(self, x: Tensor) -> int:
        training = self.training
        try:
            with unmoved(x.device), record(self.eval().module) as recording:
                if self.is_stepped:
                    recording.new_sequence()
                self(x)
        finally:
            self.train(training)
        return sum(int(sum(layer.statistics.count)) for layer in recording.layers.values()) // self.timesteps

    def _check_scores(self, dataset: Dataset, device: torch.device) -> None:
        x, _ = next(data.batches(dataset, "train", 2))
        with unmoved(device), torch.no_grad():
            training = self.training
            try:
                self.eval()(x.to(device))
            finally:
                self.train(training)
