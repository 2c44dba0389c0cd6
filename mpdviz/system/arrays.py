"""Files of NumPy arrays (.npz), read safely: checksums verified, bounded, nothing unpickled."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mpdviz.errors import BadInput
from mpdviz.system.reading import check_archive, opened

AGAIN = "copy or write it again"


class Arrays:
    """The arrays of an open file, each read as it is asked for."""

    def __init__(self, archive: np.lib.npyio.NpzFile, path: Path) -> None:
        """Know the file."""
        self._archive, self._path = archive, path
        self.files: list[str] = archive.files
        """Their names."""

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of that name.

        Raises:
            BadInput: it is damaged, holds Python objects, or does not fit into memory.
        """
        try:
            return np.asarray(self._archive[name])
        except MemoryError:
            remedy = "save fewer samples, or smaller numbers"
            raise BadInput(f"{self._path} does not fit into memory", remedy) from None
        except Exception as error:  # numpy parses a header as Python, and answers with whatever that raises
            if "Object arrays" in str(error):
                problem = f"{self._path}: {name} holds Python objects, which are never unpickled"
                raise BadInput(problem, f"save {name} as one array of numbers") from None
            raise _damaged(self._path, error) from None


@contextmanager
def archive_of(path: Path, kind: str, remedy: str) -> Iterator[Arrays]:
    """A sound .npz file, open.

    Args:
        path: the file.
        kind: what it should hold.
        remedy: what to do where it is none.

    Raises:
        BadInput: no such file, damaged, or claiming more than it can hold.
    """
    # Opened here, since np.load leaves a damaged archive open.
    with opened(path, kind) as file:
        size = file.seek(0, 2)
        file.seek(0)
        if not size:
            raise BadInput(f"{kind} {path} is empty", remedy)
        if not zipfile.is_zipfile(file):
            raise BadInput(f"{path} is not an npz file, or its end is missing", remedy)
        file.seek(0)
        with _loaded(file, path) as archive:
            assert archive.zip is not None
            check_archive(archive.zip, size, str(path))
            try:
                # NumPy may stop reading before the checksum, and hand out flipped bits.
                failing = archive.zip.testzip()
            except Exception as error:  # zipfile and zlib answer damage in half a dozen ways
                raise _damaged(path, error) from None
            if failing:
                raise BadInput(f"{path} is damaged: {failing} fails its checksum", AGAIN)
            yield Arrays(archive, path)


def read_arrays(path: Path, kind: str, remedy: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; raises like `archive_of` and `Arrays`."""
    with archive_of(path, kind, remedy) as archive:
        return {name: archive[name] for name in archive.files}


def _loaded(file: BinaryIO, path: Path) -> np.lib.npyio.NpzFile:
    try:
        archive: np.lib.npyio.NpzFile = np.load(file, allow_pickle=False)
    except Exception as error:
        raise _damaged(path, error) from None
    return archive


def _damaged(path: Path, error: Exception) -> BadInput:
    return BadInput(f"{path} is damaged: {str(error)[:200] or type(error).__name__}", AGAIN)
