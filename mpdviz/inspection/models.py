"""Networks of the user's own: built by their code, filled with their weights, run one batch after another."""

import importlib
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz import checkpoint, data
from mpdviz.api import Recording, record
from mpdviz.data import Dataset
from mpdviz.errors import BadInput
from mpdviz.inspection.observe import Observation
from mpdviz.inspection.options import OF_RELEASED, Options
from mpdviz.recording import adapters
from mpdviz.system.devices import pick_device

SEED = 0
"""Of fresh weights."""
WRAPPERS = ("net", "state_dict", "model_state_dict", "model")
"""Names under which files keep a state dict."""
FRAMEWORKS = ("spikingjelly", "snntorch", "norse")
"""Whose neurons can be read; each is an extra of the same name."""
PREFIXES = ("module.", "_orig_mod.")
"""What parallel and compiled modules put before the names of their weights."""


def build(spec: str, arguments: Sequence[str] = ()) -> nn.Module:
    """Call the user's function that builds a network; this runs their code, with torch's seed set to `SEED`.

    Args:
        spec: `package.module:function`, found from the current folder or where Python looks.
        arguments: keyword arguments of the function, `name=value` with values as in TOML, else text.

    Raises:
        BadInput: no such function, or it fails, or returns no module.
    """
    place, _, name = spec.partition(":")
    if not place or not name:
        raise BadInput(f"`model` {spec}", "give package.module:function, e.g. nets:build_model")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(place), name)
        # The same fresh weights at every call, and in every process that shares the work.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            made = function(**dict(_argument(text) for text in arguments))
    except BadInput:
        raise
    except Exception as error:  # whatever their code raises
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        extra = f"pip install 'mpdviz[{missing}]'" if missing in FRAMEWORKS else "see to it in that module"
        raise BadInput(f"`model` {spec}: {type(error).__name__}: {error}", extra) from None
    finally:
        sys.path.pop(0)
    if not isinstance(made, nn.Module):
        raise BadInput(
            f"`model` {spec} returns an object of type {type(made).__name__}",
            "let it return a torch.nn.Module",
        )
    return made


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill `model` from a state dict, plain or under one of `WRAPPERS`, with or without `PREFIXES`.

    Raises:
        BadInput: no such file, or weights of another network.
        NotFinite: values that are NaN or infinite.
    """
    content: dict[str, Any] = checkpoint.read_archive(path)
    for wrapper in WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, dict):
            content = inner
            break
    for prefix in PREFIXES:
        if content and all(name.startswith(prefix) for name in content):
            content = {name.removeprefix(prefix): value for name, value in content.items()}
    checkpoint.fill(model, content, path)


class PreparedModel:
    """A module of the user's own with data that it takes."""

    def __init__(self, model: nn.Module, options: Options, weights: Path | None) -> None:
        """Fill it, load the data and send one sample through.

        Raises:
            BadInput: the weights, the data or the options do not fit, or no neuron of it can be read.
            NotFinite: weights that are NaN or infinite.
        """
        options.refuse(OF_RELEASED, "with `model`", "leave it out: the network knows it")
        if options.data is None:
            raise BadInput("`model` without `data`", "give the data, e.g. npz:FILE")
        if weights is not None:
            load_weights(model, weights)
        self._model = model
        self.notes: tuple[str, ...] = ()
        self._weights = weights or f"fresh weights (seed {SEED})"
        self._time_axis, self._repeat_input = options.time_axis, options.repeat_input
        self._layers = adapters.find(model)
        dataset = data.load(options.data, data_dir=options.data_dir)
        self._observation = Observation(model, self.forward, dataset, options)
        self.names, self.timesteps = self._sent_through(dataset, pick_device(options.device))

    def run(self) -> Recording | None:
        """Record; None for a process that does not lead its team."""
        recording, told = self._observation.run()
        self.notes = (f"{self._weights}; {told}",)
        return recording

    def forward(self, x: Tensor) -> Tensor | None:
        """Run one batch from rest.

        Args:
            x: images `[N, C, H, W]` or frames `[T, N, C, H, W]`.

        Returns:
            Logits `[N, K]`, a mean over time where there is one; None where the output has no such form.

        Raises:
            BadInput: the model does not take such input.
        """
        for layer in self._layers.values():
            layer.reset()
        samples = x.shape[x.dim() - 4]
        if self._repeat_input is not None and x.dim() == 4:
            x = x.expand(self._repeat_input, *x.shape)
        try:
            if x.dim() == 4:
                output = self._model(x)
            elif self._time_axis is None and any(layer.stepped for layer in self._layers.values()):
                output = torch.stack([_first(self._model(step)) for step in x])
            else:
                output = self._model(x.movedim(0, self._time_axis or 0))
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadInput(
                f"the model does not take an input {list(x.shape)}: {reason}",
                "see to `data`, `repeat_input` and `time_axis`",
            ) from None
        return _logits(_first(output), samples)

    def _sent_through(self, dataset: Dataset, device: torch.device) -> tuple[dict[int, str], int]:
        """Names of the layers in the order in which they run, and T: known once a sample went through."""
        x, _ = next(data.batches(dataset, self._observation.split, 1))
        training = self._model.training
        try:
            with torch.no_grad(), record(self._model.eval().to(device)) as probe:
                self.forward(x.to(device))
        finally:
            self._model.train(training)
        if not probe.layers:
            raise BadInput("no layer of the model could be read", "see the warnings above")
        names = {number: layer.info.name for number, layer in probe.layers.items()}
        return names, max(layer.info.timesteps for layer in probe.layers.values())


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise BadInput(f"`model_args` {text}", "give name=value")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _first(output: Any) -> Any:
    while isinstance(output, tuple | list) and output:
        output = output[0]
    return output


def _logits(output: Any, samples: int) -> Tensor | None:
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    if output.dim() == 2 and len(output) == samples:
        return output
    if output.dim() == 3 and output.shape[1] == samples:
        return output.mean(0)
    if output.dim() == 3 and len(output) == samples:
        return output.mean(1)
    return None
