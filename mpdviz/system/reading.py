"""Reading files that others may have written: regular files alone, bounded, and every failure one line.

A FIFO or device would be waited for, or read, for ever; a small archive may claim to unpack to more than the
memory; TOML and JSON may be nested too deep for their parsers.
"""

import hashlib
import json
import os
import stat
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from mpdviz.errors import BadInput
from mpdviz.system.memory import available_memory, gigabytes

TEXT_MOST = 256 << 20
"""Bytes of a table or settings file beyond which it is none."""
SMALL, DENSEST = 64 << 20, 400
"""Bytes up to which an archive may be packed as densely as it likes; how many times its own size else.

Histograms of few potentials pack 160 times."""
WHERE = "check the path and its permissions"


@contextmanager
def opened(path: Path, kind: str) -> Iterator[BufferedReader]:
    """A regular file, open for reading; `kind` names what it should hold.

    Raises:
        BadInput: missing, no regular file, or unreadable.
    """
    try:
        # Not to wait for whoever would write into a FIFO.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise BadInput(f"{kind} {path}: {_reason(error)}", WHERE) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "no regular file (a pipe or device)"
        raise BadInput(f"{kind} {path} is {what}", "give the file itself")
    with os.fdopen(descriptor, "rb") as file:
        try:
            yield file
        except OSError as error:
            raise BadInput(f"{kind} {path}: {_reason(error)}", WHERE) from None


def read_bytes(path: Path, kind: str, most: int | None = None, *, may_be_empty: bool = False) -> bytes:
    """The content of a file.

    Args:
        path: the file.
        kind: what it should hold.
        most: bytes that it may have; None: what memory there is.
        may_be_empty: whether nothing is something.

    Raises:
        BadInput: missing, no regular file, unreadable, too large or empty.
    """
    with opened(path, kind) as file:
        size = os.fstat(file.fileno()).st_size
        check_room(size, f"{kind} {path}", most)
        content = file.read(size)
    if not (content or may_be_empty):
        raise BadInput(f"{kind} {path} is empty", "make or copy it again")
    return content


def sha256(path: Path, kind: str) -> str:
    """SHA-256 of a file's content, in hexadecimal digits; raises like `opened`."""
    with opened(path, kind) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path, kind: str) -> str:
    """The content of a text file in UTF-8; raises like `read_bytes`, and for other bytes."""
    try:
        return read_bytes(path, kind, TEXT_MOST).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{kind} {path} is not UTF-8 text (byte {error.start})", "restore it") from None


def read_toml(path: Path, kind: str, remedy: str) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        BadInput: as of `read_text`; not TOML, or deeper nested than can be read.
    """
    content = read_bytes(path, kind, TEXT_MOST, may_be_empty=True)
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # of tomllib, or of a number with thousands of digits
        raise BadInput(f"{kind} {path} is not TOML: {_reason(error)}", remedy) from None


def read_json(path: Path, kind: str, remedy: str) -> Any:
    """The content of a JSON file; raises like `read_toml`."""
    content = read_bytes(path, kind, TEXT_MOST, may_be_empty=True)
    try:
        return parse_json(content.decode())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{kind} {path} is not JSON: {_reason(error)}", remedy) from None


def parse_json(text: str) -> Any:
    """What JSON says, all of it text that can be printed and written again.

    Raises:
        ValueError: not JSON, or half a character (a lone surrogate), which JSON can spell.
        RecursionError: nested too deep.
    """
    content = json.loads(text)
    json.dumps(content, ensure_ascii=False).encode()
    return content


def check_archive(archive: zipfile.ZipFile, size: int, what: str) -> None:
    """Refuse a zip archive that claims to hold more than a file of its `size` honestly does.

    Raises:
        BadInput: names twice, or too much.
    """
    members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise BadInput(f"{what} is damaged: it holds a name twice", "copy or make it again")
    claimed = sum(member.file_size for member in members)
    if claimed > max(SMALL, DENSEST * size):
        raise BadInput(
            f"{what} claims to unpack to {gigabytes(claimed)}, {claimed // max(size, 1)} times its size",
            "write it again without compression, if that is so",
        )
    check_room(claimed, what)


def check_room(size: int, what: str, most: int | None = None) -> None:
    """Refuse what would not fit into the memory.

    Raises:
        BadInput: more than `most` bytes, or than there is memory.
    """
    limit = available_memory() if most is None else min(most, available_memory())
    if size > limit:
        raise BadInput(f"{what} holds {gigabytes(size)}, and {gigabytes(limit)} can be read", "give less")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RecursionError):
        return "nested too deep"
    return str(error)[:200]
