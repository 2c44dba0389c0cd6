"""What a resumed run takes from `last.pt` besides the weights, held against the run before it is used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from mpdviz.checkpoint import check_state
from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.networks import SpikingNetwork
from mpdviz.runs.state import Position
from mpdviz.system.schema import checked
from mpdviz.training.optimizers import SavedOptimizer

REMEDY = "train again into another `out`"


class Training(BaseModel):
    """The part `training` of a checkpoint."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    optimizer: SavedOptimizer
    position: Position
    scaler: dict[str, float | int] | None = None
    averaged: dict[str, Tensor] | None = None
    """Weights and buffers of a run with `ema`."""


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


def averaged_of(
    saved: Training, network: SpikingNetwork, config: RunConfig, path: Path
) -> Mapping[str, Tensor] | None:
    """The averaged weights of a run that has any.

    Raises:
        BadInput: there are none where there should be, or they are of another network or not finite.
    """
    if config.ema is None:
        return None
    if saved.averaged is None:
        raise BadInput(f"checkpoint {path} lacks the averaged weights", REMEDY)
    check_state(network, saved.averaged, path)
    bad = next((name for name, value in saved.averaged.items() if not bool(value.isfinite().all())), None)
    if bad is not None:
        raise BadInput(f"checkpoint {path}: the average of {bad!r} is not finite", REMEDY)
    return saved.averaged
