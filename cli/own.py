"""Recording a network of the user's own (`--model`)."""

from typing import TYPE_CHECKING

from mpdviz.errors import BadInput

from .observe import observe
from .output import say
from .source import Ready, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from mpdviz.api import Recording
    from mpdviz.inspection.models import OwnNetwork
    from mpdviz.system.team import Team

KNOWN = ("timesteps", "strategy", "decay", "v_th")
"""Options that say what a released file does not; an own network knows."""


def run(source: Source, team: "Team", ready: Ready) -> "Recording | None":
    """Build the network, fill it, record it; None for a process that does not lead its team.

    Raises:
        BadInput: anything about the network, the weights, the data or the options that does not fit.
    """
    assert source.model is not None
    for name in KNOWN:
        if getattr(source, name) is not None:
            raise BadInput(f"--{name.replace('_', '-')} with --model", "leave it out: the network knows it")
    if source.data is None:
        raise BadInput("--model without --data", "give --data, e.g. --data npz:FILE")
    if source.repeat_input is not None and source.repeat_input < 1:
        raise BadInput(f"--repeat-input {source.repeat_input}", "give at least 1")
    if source.time_axis not in (None, 0, 1):
        raise BadInput(f"--time-axis {source.time_axis}", "give 0 or 1")

    from mpdviz import data
    from mpdviz.inspection.models import SEED, OwnNetwork, build, load_weights
    from mpdviz.system.devices import pick_device

    model = build(source.model, source.model_args or ())
    if source.paths:
        load_weights(model, source.paths[0])
    network = OwnNetwork(model, source.time_axis, source.repeat_input)
    dataset = data.load(source.data, data_dir=source.data_dir)
    split = source.split or ("all" if dataset.name.startswith("npz:") else "test")
    if not len(dataset.split(split)):
        raise BadInput(f"the {split} split of {dataset.name} is empty", "choose another --split, e.g. all")
    model.to(pick_device(source.device))
    ready(*_names_and_timesteps(network, data.batches(dataset, split, 1), source))
    recording, result = observe(model, network, dataset, split, source, team, lambda: None)
    if recording is not None:
        weights = source.paths[0] if source.paths else f"fresh weights (seed {SEED})"
        mode = ", batch statistics" if source.mode == "train" else ""
        say(f"{source.model}, {weights}; {dataset.name} {split}{mode}, {result}")
    return recording


def _names_and_timesteps(
    network: "OwnNetwork", samples: "Iterator[tuple[Tensor, Tensor]]", source: Source
) -> tuple[dict[int, str], int]:
    """Names of the layers in the order in which they run, and T: known once a sample went through."""
    import torch

    import mpdviz
    from mpdviz.system.devices import pick_device

    x, _ = next(samples)
    with torch.no_grad(), mpdviz.record(network.model.eval()) as probe:
        network(x.to(pick_device(source.device)))
    names = {number: layer.info.name for number, layer in probe.layers.items()}
    if not names:
        raise BadInput(f"--model {source.model}: no layer of it could be read", "see the warnings above")
    return names, max(layer.info.timesteps for layer in probe.layers.values())
