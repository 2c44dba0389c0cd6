"""Networks of the user's own, filled with their weights, run one batch after another as their authors do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mpdviz import checkpoint, data
from mpdviz.api import Recording
from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.inspection.inputs import Inputs
from mpdviz.inspection.observe import Observation
from mpdviz.inspection.options import OF_RELEASED, OF_WEIGHTS, Options
from mpdviz.inspection.outcome import Judge, first, scores
from mpdviz.inspection.resetting import Rest
from mpdviz.inspection.theirs import SEED, function, said
from mpdviz.inspection.trial import MADE, REMEDY, Trials, unmoved
from mpdviz.live import LiveRecording
from mpdviz.system.devices import pick_device
from mpdviz.system.places import best_checkpoint
from mpdviz.system.reading import sha256

SHOWN = 5
"""Layers that a note names."""


class PreparedModel:
    """A module of the user's own with data that it takes."""

    def __init__(self, model: nn.Module, options: Options, weights: Path | None) -> None:
        """Fill it, load the data and find out on one sample how it is fed.

        Raises:
            BadInput: the weights, the data or the options do not fit, or no neuron of it can be read.
            NotFinite: weights that are NaN or infinite.
        """
        options.refuse(OF_RELEASED, "with `model`", "leave it out: the network knows it")
        content = None if weights is None else checkpoint.read_archive(best_checkpoint(weights))
        if weights is not None and content is not None:
            options = _as_trained(options, checkpoint.trained_by(content, weights))
        if options.data is None:
            raise BadInput("`model` without `data`", "give the data, e.g. npz:FILE")
        self._filled: tuple[str, ...] = ()
        if weights is None:
            options.refuse(OF_WEIGHTS, "without weights", "give the file that holds them, or leave it out")
        else:
            self._filled = checkpoint.fill_any(
                model, best_checkpoint(weights), key=options.key, prefix=options.prefix, content=content
            )
        self._model = model
        self.notes: tuple[str, ...] = ()
        self.config: RunConfig | None = None
        self._weights = weights or f"fresh weights (seed {SEED})"
        loss = function("loss", options.loss)
        self._keep = first if loss is None else lambda output: output
        dataset = data.obtain(options.data, data_dir=options.data_dir, as_it_is=True)
        self._judge = Judge(dataset.classes, dataset.about_labels, loss)
        origin = {"network": type(model).__name__, "weights": str(self._weights)}
        if weights is not None:
            origin["SHA-256"] = sha256(best_checkpoint(weights), "checkpoint")
        self._observation = Observation(model, self._forward, dataset, options, self._judge, origin)
        device = pick_device(options.device)
        self._rest = Rest(model.to(device))
        with unmoved(device):
            self._inputs = Inputs(dataset, self._observation.split, options, device)
            trial = self._inputs.tried(Trials(model, self._rest), options.time_axis)
        self._feed, self._told = trial.feed, ""
        self.names, self.timesteps = trial.names, max(trial.timesteps)

    def run(self) -> Recording | None:
        """Record; None for a process that does not lead its team."""
        try:
            recording, told = self._observation.run()
        finally:
            self._rest.restore()
        labels = self._judge.about if self._judge.classes else ""
        self.notes = ("; ".join(filter(None, (str(self._weights), told, self._told, labels))), *self._filled)
        if recording is not None:
            self.notes += _of_other_length(recording, self._inputs.length)
        return recording

    def _forward(self, x: Tensor, y: Tensor, recording: LiveRecording) -> tuple[Any, Tensor | None]:
        """Run one batch from rest."""
        self._rest.restore()
        given = self._inputs.made(x, y)
        if self._feed.stepped:
            recording.new_sequence()
        self._told = self._told or self._feed.told(given)
        try:
            output = self._feed.run(self._model, given, self._keep)
        except Exception as error:  # whatever their code raises
            shape = f"an input {list(given.shape)}" if isinstance(given, Tensor) else MADE
            raise BadInput(f"the model does not take {shape} ({said(error)})", REMEDY) from None
        return output, scores(output, len(y), time_axis=self._feed.time_axis)


def _as_trained(options: Options, config: RunConfig | None) -> Options:
    """The options, what is not given being that of the run of ours that the weights are of, if it is one."""
    if config is None:
        return options
    given = config.data if options.data is None else options.data
    options = replace(options, data=given, data_dir=options.data_dir or config.data_dir)
    if options.batch is not None or options.time_axis is not None or options.repeat_input is not None:
        return options
    return replace(options, time_axis=config.time_axis, repeat_input=config.repeat_input)


def _of_other_length(recording: Recording, length: int | None) -> tuple[str, ...]:
    """Which layers have another number of timesteps than the data, in words; nothing where all is well."""
    others: dict[int, list[str]] = {}
    for layer in recording.layers.values():
        if length is not None and layer.info.timesteps != length:
            others.setdefault(layer.info.timesteps, []).append(layer.info.name)
    return tuple(
        f"note: the data have {length} timesteps, and {_named(names)} {timesteps}"
        for timesteps, names in others.items()
    )


def _named(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"layer{'s' * (len(names) != 1)} {', '.join(names[:SHOWN])}{more}"
