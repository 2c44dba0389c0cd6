"""Where the runs of a comparison are trained. A new place is a file here and a line in the registry."""

from mpdviz.compare.executors.base import Executor, Failure, Watcher
from mpdviz.registry import Registry

__all__ = ["EXECUTORS", "Executor", "Failure", "Watcher"]

EXECUTORS: Registry[type[Executor]] = Registry(
    "executor", "mpdviz.executors", {"local": "mpdviz.compare.executors.local:Local"}, Executor
)
