"""Measuring in a process of its own, free of what others imported, compiled or left resident."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


def apart(function: Callable[..., Result], *args: Any, returned: bool = False) -> Result:
    """What a function of a module gives in a new process with as many threads as torch has here.

    Args:
        function: one that its module has by its name.
        args: numbers, strings, or lists of them, like what it gives.
        returned: large freed blocks go back to the system at once (glibc), so that what is resident is what
            is in use; slower.

    Raises:
        RuntimeError: it failed there; says what it wrote.
    """
    call = json.dumps([function.__module__, function.__name__, args, torch.get_num_threads()])
    done = subprocess.run(
        [sys.executable, "-m", "mpdviz.bench.apart", call],
        capture_output=True,
        text=True,
        env=os.environ | ({"MALLOC_MMAP_THRESHOLD_": "131072"} if returned else {}),
    )
    if done.returncode:
        raise RuntimeError(f"{function.__name__}{args} failed in its process:\n{done.stderr}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def main(call: str) -> None:
    """Call it, and print what it gives as the last line."""
    module, name, args, threads = json.loads(call)
    torch.set_num_threads(threads)
    print(json.dumps(getattr(importlib.import_module(module), name)(*args)))


if __name__ == "__main__":
    main(sys.argv[1])
