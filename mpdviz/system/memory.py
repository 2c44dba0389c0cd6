"""Large buffers are kept for reuse instead of being returned to the system after every use.

The C library gives blocks above 32 MB back to the kernel as soon as they are freed, and a fresh block costs a
page fault for every 4 KB: for neuron layers, whose buffers are large and live briefly, that takes longer
than the arithmetic. Training and inspecting ask the library to keep them; the process does not shrink in
between then.
"""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

from mpdviz.errors import BadInput

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc, malloc.h


def keep_large_buffers() -> bool:
    """Ask the C library, once for this process, to keep freed blocks; False where it cannot (not glibc)."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def require_memory(size: int, what: str, remedy: str) -> None:
    """Refuse work that cannot fit, before it makes the machine swap or is killed without a word.

    Args:
        size: bytes that it takes at the least.
        what: that work.
        remedy: what would make it smaller.

    Raises:
        BadInput: there is less memory.
    """
    free = available_memory()
    if size > free:
        raise BadInput(
            f"{what} takes at least {gigabytes(size)} of memory, and {gigabytes(free)} are free", remedy
        )


def gigabytes(size: int) -> str:
    """A number of bytes in words."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def available_memory() -> int:
    """Bytes that this process can still have: what the machine has free, or its limits if those are less."""
    found = [sys.maxsize]
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(free.split()[1]) * 1024)
    with suppress(ImportError, OSError, ValueError, IndexError):
        import resource  # not on Windows

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            found.append(max(soft - used * resource.getpagesize(), 0))
    return min(found)
