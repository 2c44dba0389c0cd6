"""Which network a recording is of: weights and the neurons' constants, so that no two merge in silence."""

import hashlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from mpdviz.recording.adapters import Native
from mpdviz.recording.description import Description
from mpdviz.strategies import Strategy
from mpdviz.surrogates import Surrogate

RESETS = {(True, False): "hard", (True, True): "soft", (False, False): "no memory", (False, True): "odd"}
"""What `Adapter.carries` means."""
DIGITS = 16
"""Hexadecimal digits that are kept of each SHA-256."""


def identity(model: nn.Module, layers: Iterable[Description]) -> dict[str, str]:
    """What tells one network from another, by the words that an error names it with.

    The neurons' constants, then SHA-256 of each tensor of the state dict. Buffers of modules in training mode
    are left out: a forward pass writes the data into them (the running statistics of a batch norm, the
    averages of a strategy), and reads none of it.

    Args:
        model: the network as it is now.
        layers: what was recorded of it.
    """
    known = {"mode": "training" if model.training else "evaluation"}
    for layer in layers:
        name, adapter, info = layer.name, layer.layer.adapter, layer.info()
        known |= {
            f"v_th of layer {name}": f"{info.v_th:.6g}",
            f"decay of layer {name}": f"{info.decay:.6g}",
            f"comparison of layer {name}": "v > v_th" if info.strict else "v >= v_th",
        }
        if isinstance(adapter, Native):
            known[f"surrogate of layer {name}"] = _shape(adapter.module.surrogate)
        elif info.steady:
            known[f"surrogate of layer {name}"] = (
                f"{info.surrogate}, {info.lower[0]:.6g} to {info.upper[0]:.6g}"
            )
        if adapter is not None and adapter.carries is not None:
            known[f"reset of layer {name}"] = adapter.reset or RESETS[adapter.carries]
    for owner, strategy in strategies(model).items():
        known[f"strategy of layer {owner}"] = _options(strategy)
    written = {
        f"{path}.{buffer}".removeprefix(".")
        for path, module in model.named_modules()
        if module.training
        for buffer, _ in module.named_buffers(recurse=False)
    }
    for name, value in model.state_dict().items():
        if name not in written:
            known[f"weights {name}"] = _digest(value)
    return known


def strategies(model: nn.Module) -> dict[str, Strategy]:
    """The width strategies of a network of ours, by the name of the layer."""
    return {
        path.rpartition(".")[0]: module
        for path, module in model.named_modules()
        if isinstance(module, Strategy)
    }


def _shape(surrogate: Surrogate) -> str:
    # By its values: those of a function that is only probed have no parameters to name.
    x = torch.tensor([0.0, 0.1, 0.5, 1.0, 2.0], dtype=torch.float64)
    values = ", ".join(f"{h:.6g}" for h in surrogate.h(x).tolist())
    return f"{surrogate.name} with h(0), h(.1), h(.5), h(1), h(2) = {values}"


def _options(strategy: Strategy) -> str:
    options = {
        name: value
        for name, value in vars(strategy).items()
        if isinstance(value, float | int | str) and not isinstance(value, bool) and not name.startswith("_")
    }
    return ":".join([strategy.name, *(f"{name}={value}" for name, value in options.items())])


def _digest(value: Any) -> str:
    try:
        array = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    except (AttributeError, RuntimeError, TypeError, ValueError):  # no dense tensor: its kind alone is known
        return type(value).__name__
    shape = "x".join(map(str, value.shape))
    return f"{value.dtype} {shape} {hashlib.sha256(array).hexdigest()[:DIGITS]}"
