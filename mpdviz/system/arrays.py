"""Files of NumPy arrays (.npz), read safely: checksums verified, bounded, nothing unpickled."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mpdviz.errors import BadInput
from mpdviz.system.reading import check_archive, opened

AGAIN = "copy or write it again"


@contextmanager
def archive_of(path: Path, kind: str, remedy: str) -> Iterator[np.lib.npyio.NpzFile]:
    """A sound .npz file, open; its arrays are read as they are asked for.

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
        try:
            with np.load(file, allow_pickle=False) as archive:
                check_archive(archive.zip, size, str(path))
                # NumPy may stop reading before the checksum, and hand out flipped bits.
                if damaged := archive.zip.testzip():
                    raise BadInput(f"{path} is damaged: {damaged} fails its checksum", AGAIN)
                yield archive
        except BadInput:
            raise
        except MemoryError:
            raise BadInput(
                f"{path} does not fit into memory", "save fewer samples, or smaller numbers"
            ) from None
        # RuntimeError: encrypted, unknown compression.
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OverflowError) as error:
            raise BadInput(f"{path} is damaged: {str(error)[:200]}", AGAIN) from None


def read_arrays(path: Path, kind: str, remedy: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; raises like `archive_of`."""
    with archive_of(path, kind, remedy) as archive:
        return {name: np.asarray(archive[name]) for name in archive.files}
