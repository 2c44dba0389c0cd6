"""Recording a checkpoint over a data set."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mpdviz import checkpoint, data
from mpdviz.api import Recording
from mpdviz.checkpoint import Checkpoint
from mpdviz.data import Dataset
from mpdviz.errors import BadInput
from mpdviz.inspection.observe import Observation
from mpdviz.inspection.options import Options
from mpdviz.inspection.outcome import Judge
from mpdviz.live import LiveRecording
from mpdviz.networks import SpikingNetwork
from mpdviz.neurons import RESET
from mpdviz.system.memory import require_memory
from mpdviz.system.reading import sha256

MANY = 1000
"""Timesteps of samples below which no batch is too large for a machine."""
BYTES = 8
"""A potential and its input; what a forward pass holds at the least of its largest layer is some of all."""


class PreparedCheckpoint:
    """A checkpoint with data that fit it."""

    def __init__(self, path: Path, options: Options) -> None:
        """Load both.

        Raises:
            BadInput: the file, the data or the options do not fit.
            NotFinite: weights that are NaN or infinite.
        """
        self._loaded = checkpoint.load(
            path,
            strategy=options.strategy,
            timesteps=options.timesteps,
            decay=options.decay,
            v_th=options.v_th,
        )
        network = self._loaded.network
        dataset = _load_data(self._loaded, options)
        _require_memory(network, dataset, options)
        # Data that fit it have no more classes than it knows.
        judge = Judge(dataset.classes, fewer=True)
        origin = _origin(self._loaded, network)
        self._observation = Observation(network, self._forward, dataset, options, judge, origin)
        self.names = dict(enumerate((name for name, _ in network.spiking_layers()), start=1))
        self.timesteps = network.timesteps
        self.notes: tuple[str, ...] = ()
        self.config = self._loaded.config

    def run(self) -> Recording | None:
        """Record; None for a process that does not lead its team."""
        recording, told = self._observation.run()
        built, assumed = self._loaded.architecture, self._loaded.assumed
        self.notes = (f"{built.name}, {built.strategy}, T={self.timesteps}; {told}",)
        if assumed:
            taken = ", ".join(f"`{name}` {value}" for name, value in assumed.items())
            lacks = f"{self._loaded.path} is a released checkpoint and does not hold everything"
            self.notes = (f"{lacks}; taken: {taken}", *self.notes)
        return recording

    def _forward(self, x: Tensor, _: Tensor, __: LiveRecording) -> tuple[Tensor, Tensor]:
        logits: Tensor = self._loaded.network(x)
        return logits, logits.mean(0)


def _origin(loaded: Checkpoint, network: SpikingNetwork) -> dict[str, str]:
    """What a recording says of the network."""
    built, config = loaded.architecture, loaded.config
    reset = "" if built.reset == RESET else f", {built.reset} reset"
    said = {
        "network": f"{built.name}, {built.neuron} neurons{reset}, T={network.timesteps}",
        "strategy": built.strategy,
        "checkpoint": str(loaded.path),
        "SHA-256": sha256(loaded.path, "checkpoint"),
    }
    if config is not None:
        part = "" if config.train_limit is None else f" ({config.train_limit} of its training samples)"
        said["trained on"] = f"{config.data}{part}, seed {config.seed}, {config.epochs} epochs"
    return said


def _require_memory(network: SpikingNetwork, dataset: Dataset, options: Options) -> None:
    samples = min(options.batch_size, options.limit or options.batch_size, len(dataset.split("all")))
    if samples == 0 or network.timesteps * samples < MANY:
        return
    one = dataset.split("all").take(torch.zeros(1, dtype=torch.long))
    x, _ = next(data.batches(replace(dataset, test=one), "test", 1))
    potentials = network.count_potentials(x) * network.timesteps * samples
    what = f"a batch of {samples} samples over {network.timesteps} timesteps"
    require_memory(potentials * BYTES, what, "lower `batch_size` or `timesteps`")


def _load_data(loaded: Checkpoint, options: Options) -> Dataset:
    network, given, data_dir = loaded.network, options.data, options.data_dir
    if loaded.config is not None:
        given = loaded.config.data if given is None else given
        data_dir = data_dir or loaded.config.data_dir
    if given is None:
        raise BadInput(f"{loaded.path} does not say what it was trained on", "give `data`, e.g. npz:FILE")
    # An own file has its own number of frames; made-up frames come as many as the network had.
    own = not isinstance(given, str) or given.startswith("npz:")
    wanted = options.timesteps if own else network.timesteps
    dataset = data.obtain(given, timesteps=wanted, data_dir=data_dir)
    found_shape, own_shape = list(dataset.sample_shape), list(network.sample_shape)
    classes = loaded.architecture.num_classes
    mismatches = {
        f"has samples {found_shape}, not {own_shape}": not network.fits(dataset.sample_shape),
        f"has labels up to {dataset.classes - 1}, more than the {classes} classes": dataset.classes > classes,
    }
    for mismatch, found in mismatches.items():
        if found:
            raise BadInput(
                f"{dataset.name} does not fit {loaded.path}: it {mismatch}", "give the data it was trained on"
            )
    if dataset.timesteps is not None and dataset.timesteps != network.timesteps:
        network.timesteps = dataset.timesteps
        loaded.assumed.pop("timesteps", None)
    return dataset
