"""Where what was recorded can be logged: TensorBoard, W&B, MLflow, Lightning. A new one is a file and a line.

`contents` says what is logged of a recording, the same everywhere. `log` is `Recording.log_to`; training's
sinks open a run of a tracker for a run folder.
"""

from collections.abc import Mapping

from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.errors import BadInput
from mpdviz.loggers import contents
from mpdviz.loggers.base import RunTracker, Tracker
from mpdviz.registry import Registry

__all__ = ["TRACKERS", "RunTracker", "Tracker", "log", "tracker"]

TRACKERS: Registry[type[Tracker]] = Registry(
    "tracker",
    "mpdviz.loggers",
    {
        "tensorboard": "mpdviz.loggers.tensorboard:TensorBoard",
        "wandb": "mpdviz.loggers.wandb:WandB",
        "mlflow": "mpdviz.loggers.mlflow:MLflow",
        "lightning": "mpdviz.loggers.lightning:Lightning",
    },
    Tracker,
)
TAKEN = (
    "give a TensorBoard SummaryWriter, a W&B run or the module wandb, an MLflow run or the module mlflow, "
    "or a logger of Lightning"
)


def tracker(target: object) -> Tracker:
    """The tracker that `target` belongs to.

    Raises:
        BadInput: no tracker knows it, or it has no run under way; the message says what is taken.
    """
    for name in TRACKERS:
        found = TRACKERS[name].of(target)
        if found is not None:
            return found
    what = repr(target) if isinstance(target, str) else f"of type {type(target).__name__}"
    raise BadInput(f"`target` {what} is nothing to log to", TAKEN)


def log(
    target: object, layers: Mapping[int, LayerAccumulation], step: int | None = None, prefix: str = ""
) -> None:
    """Log a recording, by layer number, as `Recording.log_to` does; raises like `tracker`."""
    found = tracker(target)
    values, histograms = contents.scalars(layers), contents.histograms(layers)
    found.log(
        {prefix + tag: value for tag, value in values.items()},
        {prefix + tag: histogram for tag, histogram in histograms.items()},
        step,
    )
