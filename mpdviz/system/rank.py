"""Which of several processes this one is; without torch, for a command line that must answer at once."""

import os
import socket

from mpdviz.errors import BadInput

MOST = 1 << 20
"""Processes beyond which a number in the environment is taken for a mistake."""
REMEDY = "unset it, or start with torchrun, which sets it"


def rank() -> int:
    """This process's number among those that torchrun or Lightning Fabric started; 0 where neither did.

    Raises:
        BadInput: an environment variable that is no such number.
    """
    return _number("RANK", _number("LOCAL_RANK", 0))


def world_size(default: int = 1) -> int:
    """How many processes were started together; raises like `rank`."""
    return _number("WORLD_SIZE", default, least=1)


def local_world_size(default: int) -> int:
    """How many of them on this machine; raises like `rank`."""
    return _number("LOCAL_WORLD_SIZE", default, least=1)


def check_environment() -> None:
    """Refuse variables that contradict one another, before anything waits for processes that never come.

    Raises:
        BadInput: naming the variable.
    """
    size, mine = world_size(), rank()
    here = local_world_size(size)
    if "LOCAL_WORLD_SIZE" in os.environ and (size % here or "WORLD_SIZE" not in os.environ):
        said = size if "WORLD_SIZE" in os.environ else "not set"
        raise BadInput(f"environment variable LOCAL_WORLD_SIZE is {here}, but WORLD_SIZE is {said}", REMEDY)
    if size == 1:
        return
    if "RANK" not in os.environ and "LOCAL_RANK" not in os.environ:
        raise BadInput(f"environment variable WORLD_SIZE is {size}, but RANK is not set", REMEDY)
    if mine >= size:
        raise BadInput(f"environment variable RANK is {mine}, but WORLD_SIZE is {size}", REMEDY)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            raise BadInput(f"environment variable WORLD_SIZE is {size}, but {name} is not set", REMEDY)
    port, host = _number("MASTER_PORT", 0, least=1), os.environ["MASTER_ADDR"]
    if port >= 1 << 16:
        raise BadInput(f"environment variable MASTER_PORT is {port}, which is no port", REMEDY)
    try:
        socket.getaddrinfo(host, port)
    except (OSError, UnicodeError):
        raise BadInput(f"environment variable MASTER_ADDR is {host!r}, which is not found", REMEDY) from None


def _number(name: str, default: int, least: int = 0) -> int:
    text = os.environ.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= MOST):
        raise BadInput(f"environment variable {name} is {text!r}, which is no number of processes", REMEDY)
    return int(text)
