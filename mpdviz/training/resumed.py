"""What a resumed run takes from `last.pt` besides the weights, held against the run before it is used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.runs.state import Position
from mpdviz.system.saved import check_tensor
from mpdviz.system.schema import checked

REMEDY = "train again into another `out`"


class Momentum(BaseModel):
    """What SGD remembers of one parameter."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    momentum_buffer: torch.Tensor | None = None


class Optimizer(BaseModel):
    """The state dict of SGD; its settings are the run's."""

    state: dict[Annotated[int, Field(ge=0)], Momentum]


class Training(BaseModel):
    """The part `training` of a checkpoint."""

    optimizer: Optimizer
    position: Position
    scaler: dict[str, float | int] | None = None


def training_of(content: Any, path: Path) -> Training:
    """The part `training` of the checkpoint at `path`.

    Raises:
        BadInput: it is none.
    """
    return checked(Training, content, f"checkpoint {path}: its training state", REMEDY)


def check_position(position: Position, config: RunConfig, steps: int, path: Path) -> None:
    """Refuse where no run of these settings stands.

    Args:
        position: from `last.pt`.
        config: the run's settings.
        steps: of an epoch.
        path: of `last.pt`.

    Raises:
        BadInput: beyond the end of the run or an epoch, or with sums that do not belong to its steps.
    """
    under_way = position.step > 0
    counted = position.samples > 0 and position.seconds > 0
    fits = position.epoch <= config.epochs and position.step <= steps and under_way == counted
    if not fits or len(position.metrics) != position.epoch:
        where = f"epoch {position.epoch}, step {position.step}"
        raise BadInput(f"checkpoint {path}: its training state is damaged ({where})", REMEDY)


def optimizer_state(training: Training, own: torch.optim.Optimizer, path: Path) -> Mapping[str, Any]:
    """What to load into the run's optimizer: the momenta, all else as its settings have it.

    Raises:
        BadInput: momenta that are not of its parameters.
    """
    parameters = [parameter for group in own.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for number, momentum in training.optimizer.state.items():
        buffer = momentum.momentum_buffer
        what = f"checkpoint {path}: momentum {number}"
        if number >= len(parameters):
            raise BadInput(f"{what} is of no parameter", REMEDY)
        if buffer is not None:
            check_tensor(buffer, what)
            if buffer.shape != parameters[number].shape or not buffer.is_floating_point():
                shape = list(parameters[number].shape)
                raise BadInput(f"{what} is {list(buffer.shape)} where {shape} is expected", REMEDY)
            if not bool(buffer.isfinite().all()):
                raise BadInput(f"{what} holds values that are not finite", REMEDY)
        state[number] = {"momentum_buffer": buffer}
    return own.state_dict() | {"state": state}
