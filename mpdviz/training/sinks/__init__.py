"""Where a run's numbers go: tables and trackers. A new one is a file here and a line in the registry."""

from mpdviz.registry import Registry
from mpdviz.training.sinks.base import Recorded, Sink

__all__ = ["SINKS", "Recorded", "Sink", "required"]

SINKS: Registry[type[Sink]] = Registry(
    "log",
    "mpdviz.sinks",
    {
        "csv": "mpdviz.training.sinks.csv:Tables",
        "tensorboard": "mpdviz.training.sinks.logged:TensorBoard",
        "wandb": "mpdviz.training.sinks.logged:WandB",
        "mlflow": "mpdviz.training.sinks.logged:MLflow",
    },
    Sink,
)
"""Every run has `csv`; the setting `log` names others."""


def required(log: str | None) -> list[type[Sink]]:
    """The sinks of a run whose setting `log` is this, names with commas between them, all of them usable.

    Raises:
        BadInput: there is none of a name, or what it needs is not installed.
    """
    names = [name.strip() for name in log.split(",")] if log is not None else []
    kinds = [SINKS.find(name) for name in dict.fromkeys(["csv", *names])]
    for kind in kinds:
        kind.require()
    return kinds
