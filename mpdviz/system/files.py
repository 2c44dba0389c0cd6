"""Files that are either whole or not there: atomic writes, folders checked before work starts."""

import errno
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from mpdviz.errors import BadInput

TEMPORARY = ".part"
"""What files end in that are being written."""
_under_way: set[Path] = set()
UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
"""What file systems that know no locks answer; there work goes on without one."""


def write_atomically(path: Path, write: Callable[[IO[bytes]], object], *, lasting: bool = True) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in `path`'s place in one step.

    A reader, or a crash at any moment, sees the old file or the new one, never a part.

    Args:
        path: the file.
        write: is given the temporary one.
        lasting: wait until the disk has it, so that a crash of the machine cannot undo it; false for what is
            of use for a moment only.

    Raises:
        BadInput: the folder or the disk refuses; the old file is untouched.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY, delete=False
        ) as file:
            temporary = Path(file.name)
            _under_way.add(temporary)
            write(file.file)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        # mkstemp keeps files private; give this one the mode an ordinary open() would have.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
        if lasting:
            _sync_folder(path.parent)
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error.strerror}", "free space or choose another folder"
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
            _under_way.discard(temporary)


def abandon() -> None:
    """Remove the temporary files under way, in a process that ends on the spot."""
    for temporary in list(_under_way):
        temporary.unlink(missing_ok=True)


def remove_stale(folder: Path, *, older: float = 0) -> None:
    """Remove what writers that were killed have left in a folder.

    Args:
        folder: the folder.
        older: seconds for which nobody must have written; 0 where this process alone writes there.
    """
    for temporary in folder.glob(f".*{TEMPORARY}"):
        with suppress(OSError):
            if not older or time.time() - temporary.stat().st_mtime > older:
                temporary.unlink()


def _sync_folder(folder: Path) -> None:
    # The rename itself is only on disk once the folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, *, lasting: bool = True) -> None:
    """Write `text` as UTF-8, what has no such form escaped, atomically; else as `write_atomically`."""
    write_atomically(path, lambda file: file.write(text.encode(errors="backslashreplace")), lasting=lasting)


def make_folder(path: Path) -> Path:
    """Create `path` where needed and make sure files can be written in it.

    Raises:
        BadInput: it cannot be created or written to, or it is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise BadInput(
            f"cannot write into folder {path}: {error.strerror}", "choose another folder"
        ) from None


def lock(path: Path) -> FileLock | None:
    """Hold `path`, a file made for that, against others until the lock is released or forgotten.

    The lock is the system's: it goes with the process, killed or not, and leaves nothing to clean up.

    Returns:
        The lock; None where another one holds it.

    Raises:
        BadInput: the file cannot be made.
    """
    # A soft lock in its place would be a file that outlives a killed process.
    held = FileLock(path, blocking=False, thread_local=False, fallback_to_soft=False)
    try:
        held.acquire()
    except Timeout:
        return None
    except OSError as error:
        if error.errno not in UNLOCKABLE:
            raise BadInput(f"cannot write {path}: {error.strerror}", "choose another folder") from None
    owner = f"process {os.getpid()} on {platform.node()}"
    if held_by(path) != owner:
        with suppress(OSError):
            path.write_text(owner, encoding="utf-8")
    return held


def held_by(path: Path) -> str:
    """Which process holds a lock, as far as that can be read."""
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="utf-8")[:100]
        if text.isprintable() and text:
            return text
    return "its lock does not say which"


def exists(path: Path) -> bool:
    """Whether a file or folder can be seen at `path`; false, and no error, where looking is refused."""
    try:
        return path.exists()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return False
