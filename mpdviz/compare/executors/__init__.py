"""Where the runs of a comparison are trained. A new place is a file here and a line in the registry.

An executor is written as one string, options after colons: `local`, `ray:cpus=4`,
`slurm:partition=gpu:time=600`.
"""

from mpdviz.compare.executors.base import Executor, Failure, Watcher
from mpdviz.errors import BadInput
from mpdviz.registry import Registry, made

__all__ = ["EXECUTORS", "Executor", "Failure", "Watcher", "get"]

EXECUTORS: Registry[type[Executor]] = Registry(
    "executor",
    "mpdviz.executors",
    {
        "local": "mpdviz.compare.executors.local:Local",
        "ray": "mpdviz.compare.executors.ray:Ray",
        "slurm": "mpdviz.compare.executors.slurm:Slurm",
    },
    Executor,
)


def get(text: str, address: str | None = None) -> Executor:
    """A new executor from its string.

    Args:
        text: a name, then options.
        address: of the cluster, for an executor with such an option: colons would end it in the string.

    Raises:
        BadInput: unknown executor or option, a value out of range, or an address for one that has none.
    """
    executor = made(EXECUTORS, text, example="slurm:partition=gpu:time=600")[0]
    if address is not None:
        if not hasattr(executor, "address"):
            raise BadInput(f"`address` with `executor` {text}", "leave it out, or choose `executor` ray")
        executor.address = address
    return executor
