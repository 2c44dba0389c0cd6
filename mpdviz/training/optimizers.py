"""The optimizers of a run, and what each keeps of every parameter."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.system.saved import check_tensor

KEPT: Mapping[str, tuple[str, ...]] = {
    "sgd": ("momentum_buffer",),
    "adamw": ("exp_avg", "exp_avg_sq"),
}
"""Tensors of a parameter's shape, by optimizer."""


def optimizer_of(config: RunConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW (Loshchilov & Hutter, ICLR 2019; betas .9 and .999)."""
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(parameters, config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


class OfParameter(BaseModel):
    """What an optimizer remembers of one parameter."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    momentum_buffer: Tensor | None = None
    exp_avg: Tensor | None = None
    exp_avg_sq: Tensor | None = None
    step: Tensor | None = None


class SavedOptimizer(BaseModel):
    """The state dict of an optimizer; its settings are the run's."""

    state: dict[Annotated[int, Field(ge=0)], OfParameter]


def restored(
    saved: SavedOptimizer, own: torch.optim.Optimizer, config: RunConfig, path: Path, remedy: str
) -> Mapping[str, Any]:
    """What to load into the run's optimizer: what it remembers, all else as its settings have it.

    Raises:
        BadInput: memories that are not of its parameters, or another optimizer's.
    """
    parameters = [parameter for group in own.param_groups for parameter in group["params"]]
    names = KEPT[config.optimizer]
    state: dict[int, dict[str, Tensor | None]] = {}
    for number, kept in saved.state.items():
        if number >= len(parameters):
            raise BadInput(f"checkpoint {path}: momentum {number} is of no parameter", remedy)
        for name in names:
            _check(getattr(kept, name), parameters[number], f"checkpoint {path}: {name} {number}", remedy)
        # In torch's order: a run that was resumed leaves the same file as one that was not.
        steps = {"step": _step(kept, f"checkpoint {path}: step {number}", remedy)}
        state[number] = (steps if config.optimizer == "adamw" else {}) | {
            name: getattr(kept, name) for name in names
        }
        if config.optimizer == "adamw" and any(value is None for value in state[number].values()):
            raise BadInput(f"checkpoint {path}: state {number} is not adamw's", remedy)
    return own.state_dict() | {"state": state}


def _step(kept: OfParameter, what: str, remedy: str) -> Tensor | None:
    if kept.step is None:
        return None
    step = check_tensor(kept.step, what)
    if step.numel() != 1 or not float(step) >= 1 or float(step) % 1:
        raise BadInput(f"{what} counts no steps", remedy)
    return step


def _check(value: Tensor | None, parameter: Tensor, what: str, remedy: str) -> None:
    if value is None:
        return
    check_tensor(value, what)
    if value.shape != parameter.shape or not value.is_floating_point():
        raise BadInput(f"{what} is {list(value.shape)} where {list(parameter.shape)} is expected", remedy)
    if not bool(value.isfinite().all()):
        raise BadInput(f"{what} holds values that are not finite", remedy)
