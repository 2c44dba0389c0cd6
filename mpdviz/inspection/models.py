"""Networks of the user's own: built by their code, filled with their weights, run one batch after another."""

import importlib
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz import checkpoint
from mpdviz.errors import BadInput
from mpdviz.recording import adapters

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
        raise BadInput(f"--model {spec}", "give package.module:function, e.g. nets:build_model")
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
        raise BadInput(f"--model {spec}: {type(error).__name__}: {error}", extra) from None
    finally:
        sys.path.pop(0)
    if not isinstance(made, nn.Module):
        raise BadInput(
            f"--model {spec} returns an object of type {type(made).__name__}",
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


@dataclass
class OwnNetwork:
    """A network with what is known of how to run it."""

    model: nn.Module
    time_axis: int | None = None
    """Axis of the input on which the model takes whole sequences; None: found from its neurons."""
    repeat_input: int | None = None
    """How often to repeat an image along time; None: the model repeats it."""
    _layers: dict[str, adapters.Adapter] = field(init=False)

    def __post_init__(self) -> None:
        """Look for its neurons.

        Raises:
            BadInput: there are none that can be read.
        """
        self._layers = adapters.find(self.model)

    def __call__(self, x: Tensor) -> Tensor | None:
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
        if self.repeat_input is not None and x.dim() == 4:
            x = x.expand(self.repeat_input, *x.shape)
        try:
            if x.dim() == 4:
                output = self.model(x)
            elif self.time_axis is None and any(layer.stepped for layer in self._layers.values()):
                output = torch.stack([_first(self.model(step)) for step in x])
            else:
                output = self.model(x.movedim(0, self.time_axis or 0))
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadInput(
                f"the model does not take an input {list(x.shape)}: {reason}",
                "see to --data, --repeat-input and --time-axis",
            ) from None
        return _logits(_first(output), samples)


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise BadInput(f"--model-args {text}", "give name=value")
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
