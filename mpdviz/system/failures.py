"""What becomes of an error that ends a command: one line, an exit code, and never a traceback.

0     done
1     a check failed
2     bad input or usage; no memory, no room
70    a bug of ours: the traceback is in a file, which the line names
130   interrupted
"""

import errno
import os
import sys
import time
import traceback

from mpdviz.errors import MpdvizError

BUG, INTERRUPTED = 70, 130
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "CUDA error: out of memory")
"""What torch's RuntimeErrors say where there is too little memory."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


def told(error: BaseException) -> tuple[str, int]:
    """What to say of an error, in one line, and the exit code.

    Settings stay in backticks.
    """
    if isinstance(error, MpdvizError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if _is_out_of_memory(error):
        return (
            "there is not enough memory for this; lower `batch_size` or `timesteps`, or free some",
            2,
        )
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        where = f" {error.filename}" if error.filename else ""
        return f"cannot write{where}: {error.strerror}; free space or choose another place", 2
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    named = f"{type(error).__name__}: {first}"[:200].removesuffix(": ")
    return f"this is a bug of mpdviz: {named}; {_kept(error)}", BUG


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in NO_MEMORY)


def _kept(error: BaseException) -> str:
    """Where the traceback was written."""
    from mpdviz.system.caches import user_cache  # here: few commands end so

    lines = [f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {' '.join(map(repr, sys.argv))}\n\n"]
    lines += traceback.format_exception(error)
    try:
        folder = user_cache() / "bugs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        path.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
    except OSError as reason:
        return f"its details could not be kept ({reason.strerror})"
    return f"details in {path}"
