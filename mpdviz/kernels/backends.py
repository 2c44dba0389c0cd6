"""Which kernels can run the neurons here, and which one does: the one place where that is decided."""

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from mpdviz.errors import MpdvizWarning, unknown_name
from mpdviz.kernels.base import Job, Kernel
from mpdviz.registry import Registry

KERNELS: Registry[Kernel] = Registry(
    "backend",
    "mpdviz.kernels",
    {
        "eager": "mpdviz.kernels.eager:EAGER",
        "fused": "mpdviz.kernels.fused:FUSED",
        "compiled": "mpdviz.kernels.compiled:COMPILED",
    },
    Kernel,
)
VARIABLE = "MPDVIZ_BACKEND"
PAYS = {
    "cpu": (("fused", 2_000_000_000), ("compiled", 10_000_000_000)),
    "cuda": (("compiled", 10_000_000_000),),
}
"""By kind of device the backends that pay for long training runs, and from how many potentials on each does.

Over eager neurons both save about 2 ns a potential, forward and backward, on two CPU cores, `compiled` a
little more. `fused` costs an import of numba, and once on a machine compiling; `compiled` compiles in every
new process and for every T."""
STEAD = {"compiled": "fused"}
"""What takes a backend's jobs that it cannot do, if it can; else `eager` does."""

_chosen: str | None = None
_watchers = 0


def pick(job: Job) -> Kernel:
    """The kernel for a job: that of the backend in use, or the definition where it cannot do all of it."""
    name = active()
    # A single neuron is computed faster than a compiled function is entered.
    if name != "eager" and job.current.numel() > len(job.current):
        for able in filter(None, (name, STEAD.get(name))):
            if job.needs <= KERNELS[able].can and KERNELS[able].missing() is None:
                return KERNELS[able]
    return KERNELS["eager"]


@contextmanager
def using(name: str) -> Iterator[None]:
    """Run all neurons of this process on the backend `name` inside the block.

    Raises:
        BadInput: unknown backend.
    """
    global _chosen
    before, _chosen = _chosen, resolve(name)
    try:
        yield
    finally:
        _chosen = before


@contextmanager
def watched() -> Iterator[None]:
    """Run all neurons on the eager backend inside the block, whose single operations can be watched.

    Blocks may end in any order: each counts by itself.
    """
    global _watchers
    _watchers += 1
    try:
        yield
    finally:
        _watchers -= 1


def active() -> str:
    """The backend in use: as chosen, or else as the environment variable MPDVIZ_BACKEND says, or eager."""
    return "eager" if _watchers else _chosen or _from_environment()


@cache
def _from_environment() -> str:
    return resolve(os.environ.get(VARIABLE, "auto"))


def resolve(name: str, potentials: int = 0, device: str = "cpu") -> str:
    """The kernel that the backend `name` stands for.

    Args:
        name: `auto` is more than `eager` where that pays for a job of so many potentials.
        potentials: samples x neurons x timesteps over the whole job.
        device: kind of device that they are on.

    Raises:
        BadInput: unknown backend.
    """
    if name == "auto":
        return best(device, potentials)
    if name not in KERNELS:
        raise unknown_name("backend", name, ["auto", *KERNELS])
    if (problem := KERNELS[name].missing()) is not None:
        warnings.warn(f"{problem}; the neurons run on the eager backend", MpdvizWarning, stacklevel=2)
        return "eager"
    return name


def best(device: str = "cpu", potentials: float = math.inf) -> str:
    """The backend for work of so many potentials on a kind of device; `eager` where others lack something."""
    found = "eager"
    for name, pays_from in PAYS.get(device, ()):
        if potentials > pays_from and KERNELS[name].missing() is None:
            found = name
    return found


def usable(device: str = "cpu") -> list[str]:
    """The backends that can run on a kind of device here, the definition first."""
    return [
        name
        for name, kernel in KERNELS.items()
        if kernel.missing() is None and (device == "cpu" or "other devices" in kernel.can)
    ]


def describe() -> dict[str, str]:
    """Each backend and whether it is usable here."""
    said = {
        "auto": f"fused, then compiled, for training runs long enough to pay; else eager; now: {active()}"
    }
    for name, kernel in KERNELS.items():
        problem = kernel.missing()
        said[name] = f"not usable: {problem}" if problem else f"usable: {kernel.meaning}"
    return said
