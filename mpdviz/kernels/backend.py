"""Which backends can run the neurons here, and which one does."""

import os
import shutil
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

from mpdviz.errors import MpdvizWarning, unknown_name

NAMES = ("auto", "eager", "compiled")
VARIABLE = "MPDVIZ_BACKEND"
COMPILING_PAYS = 10_000_000_000
"""Potentials, over a whole training run, beyond which the compiled backend saves more than compiling costs.

Compiling takes about 10 s; on two CPU cores it saves about 2 ns a potential, forward and backward."""

_chosen: str | None = None
_watchers = 0


@contextmanager
def using(name: str) -> Iterator[None]:
    """Run all neurons of this process on `eager` or `compiled` inside the block.

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


def resolve(name: str, potentials: int = 0) -> str:
    """`eager` or `compiled` for the backend `name`.

    Args:
        name: `auto` compiles where that pays for a job of so many potentials.
        potentials: samples x neurons x timesteps over the whole job.

    Raises:
        BadInput: unknown backend.
    """
    if name not in NAMES:
        raise unknown_name("backend", name, NAMES)
    if name == "auto":
        return "compiled" if potentials > COMPILING_PAYS and missing() is None else "eager"
    if name == "compiled" and (problem := missing()) is not None:
        warnings.warn(f"{problem}; the neurons run on the eager backend", MpdvizWarning, stacklevel=2)
        return "eager"
    return name


@cache
def missing() -> str | None:
    """What the compiled backend lacks here; None where it is usable."""
    if torch.cuda.is_available():
        return None if find_spec("triton") else "the package triton is not installed"
    compilers = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++", "c++"]
    if not any(shutil.which(compiler) for compiler in compilers):
        return f"no C++ compiler found ({', '.join(compilers)})"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's header files are not installed"
    return None


def describe() -> dict[str, str]:
    """Each backend and whether it is usable here."""
    problem = missing()
    return {
        "auto": f"compiled for training runs long enough to pay for compiling, else eager; now: {active()}",
        "eager": "usable: the definition, plain tensor operations",
        "compiled": f"not usable: {problem}" if problem else "usable: torch.compile, one pass over memory",
    }
