"""Where a run's numbers go: tables, TensorBoard. A new one is a file here and a line in the registry."""

from mpdviz.registry import Registry
from mpdviz.training.sinks.base import Recorded, Sink

__all__ = ["SINKS", "Recorded", "Sink"]

SINKS: Registry[type[Sink]] = Registry(
    "log",
    "mpdviz.sinks",
    {
        "csv": "mpdviz.training.sinks.csv:Tables",
        "tensorboard": "mpdviz.training.sinks.tensorboard:TensorBoard",
    },
    Sink,
)
"""Every run has `csv`; the setting `log` names another."""
