"""Compiled code divided among the very threads that torch's own operations use.

Those threads wait for their next work actively, for milliseconds: others beside them would get half a core.
"""

import ctypes
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

_Body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def divided(work: Callable[[int], object], parts: int) -> None:
    """Do `work` of every part from 0, each in a thread, and wait for all of them.

    Threads help each other only while `work` has let go of Python's lock, as compiled code does.

    Raises:
        Exception: whatever a part raised, the others being done.
    """
    failed: list[BaseException] = []
    left = itertools.count()

    def body(_: object) -> None:
        # Whichever thread comes first takes the next part: the parts, not the threads, decide the result.
        while (part := next(left)) < parts:
            try:
                work(part)
            except BaseException as error:
                failed.append(error)

    if parts == 1:
        body(None)
    elif (region := _openmp()) is not None:
        region(_Body(body), None, parts, 0)
    else:
        others = [_pool().submit(body, None) for _ in range(parts - 1)]
        body(None)
        wait(others)
    if failed:
        raise failed[0]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="mpdviz")


@cache
def _openmp() -> Callable[..., Any] | None:
    """What starts a parallel region in the OpenMP library that torch has loaded; None if not GNU's."""
    with suppress(OSError, AttributeError):
        package = Path(torch.__file__).parent
        places = package, package.with_name("torch.libs")  # other packages bring libraries of that name too
        maps = Path("/proc/self/maps").read_text().splitlines()
        mapped = {line.split(maxsplit=5)[-1] for line in maps if "libgomp" in line}
        inside = [path for path in mapped if any(Path(path).is_relative_to(place) for place in places)]
        ours = inside or list(mapped)
        if len(ours) == 1:
            region = ctypes.CDLL(ours[0]).GOMP_parallel
            region.argtypes = [_Body, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            region.restype = None
            return region
    return None
