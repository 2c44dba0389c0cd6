"""Folders that are written into: new, empty, or made for that very purpose, so that nobody's file is lost."""

from pathlib import Path

from mpdviz.errors import BadInput
from mpdviz.system.files import TEMPORARY, exists, make_folder, remove_stale, write_text

MARK = ".mpdviz"
"""The file by which a folder is known to be ours; it says what for."""
STALE = 300
"""Seconds after which a file that is being written has been given up."""


def is_ours(folder: Path, purpose: str) -> bool:
    """Whether a folder is one that mpdviz made for this."""
    try:
        return (folder / MARK).is_file() and (folder / MARK).read_bytes()[:200] == _mark(purpose)
    except (OSError, ValueError):
        return False


def check(folder: Path, purpose: str) -> None:
    """Refuse a folder that holds anything but what mpdviz wrote for this purpose; nothing is written.

    Raises:
        BadInput: naming a file that is in it.
    """
    if not exists(folder) or is_ours(folder, purpose):
        return
    try:
        first = next((path for path in sorted(folder.iterdir()) if not _is_passing(path)), None)
    except OSError as error:
        raise BadInput(f"cannot write into {folder}: {error.strerror}", "choose another folder") from None
    if first is not None:
        raise BadInput(
            f"{folder} holds {first.name!r}, which was not written by `mpdviz {purpose}`",
            "choose a new or empty folder",
        )


def claim(folder: Path, purpose: str, *, known: bool = False) -> Path:
    """Make a folder ready to write into and mark it.

    Args:
        folder: created where needed.
        purpose: the command that writes into it.
        known: whether it is known to be such a folder, marked or not.

    Raises:
        BadInput: it holds other things, or cannot be written.
    """
    if not known:
        check(folder, purpose)
    make_folder(folder)
    remove_stale(folder, older=STALE)
    if not is_ours(folder, purpose):
        write_text(folder / MARK, _mark(purpose).decode())
    return folder


def _is_passing(path: Path) -> bool:
    """Whether a file is one that we leave for a moment, or as long as a process runs."""
    return path.name == ".lock" or (path.name.startswith(".") and path.name.endswith(TEMPORARY))


def _mark(purpose: str) -> bytes:
    return f"This folder was made by mpdviz {purpose}, which may write over what is in it.\n".encode()
