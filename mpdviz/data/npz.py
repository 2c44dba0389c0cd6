"""`npz:FILE`: the user's own arrays, used as they are."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from mpdviz.data.base import Dataset, Split
from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput

SPLIT_SEED = 0
ENOUGH = 10  # samples of a class, from which a tenth for validation and a tenth for test are one each
SAVE = "write it with np.savez(FILE, x=x, y=y)"
LAYOUT = "save x as images [N, C, H, W] or frames [N, T, C, H, W]"


def load(path: Path, timesteps: int | None = None) -> Dataset:
    """The samples of an npz file: `x`, images `[N, C, H, W]` or frames `[N, T, C, H, W]`, and `y [N]`.

    Other arrays in the file are ignored. Values are neither normalised nor augmented: uint8 stays as it is,
    other numbers become float32. For training, 80 % are chosen at random, 10 % are for validation and 10 %
    for test (of every class, if each has at least 10 samples); the split `all` is the file in its own order.

    Args:
        path: the file; a leading `~` is the home folder.
        timesteps: frames that the caller wants; only checked, since frames cannot be stretched.

    Returns:
        A data set of `max(y) + 1` classes; validation and test are empty for 5 samples and fewer.

    Raises:
        BadInput: if the file cannot be read, is damaged, or its arrays are not as described.
    """
    x, y = _read(path)
    whole = Split(
        torch.from_numpy(_checked_samples(path, x)), torch.from_numpy(_checked_labels(path, y, len(x)))
    )
    frames = x.ndim == 5
    if frames and timesteps not in (None, x.shape[1]):
        raise BadInput(
            f"{path} holds {x.shape[1]} frames a sample, and {timesteps} timesteps were asked for",
            f"ask for {x.shape[1]}, or bin the events again: frames cannot be stretched",
        )
    _, members = np.unique(y, return_counts=True)
    strata = whole.y if members.min() >= ENOUGH else torch.zeros_like(whole.y)
    parts = stratified(strata, val=0.1, test=0.1, seed=SPLIT_SEED)
    train, val, test = (whole.take(part) for part in parts)
    return Dataset(
        f"npz:{path}",
        train,
        val,
        test,
        classes=int(whole.y.max()) + 1,
        frames=frames,
        file_order=torch.cat(parts).argsort(),
    )


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The arrays x and y of a sound npz file, as stored; objects in it are never unpickled."""
    try:
        # Opened here, since np.load leaves a damaged archive open.
        with path.expanduser().open("rb") as file:
            if not file.read(1):
                raise BadInput(f"{path} is empty", SAVE)
            if not zipfile.is_zipfile(file):
                raise BadInput(f"{path} is not an npz file, or its end is missing", SAVE)
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                # NumPy may stop reading before the checksum, and hand out flipped bits.
                if damaged := archive.zip.testzip():
                    raise BadInput(
                        f"{path} is damaged: {damaged} fails its checksum", "copy or write it again"
                    )
                if missing := {"x", "y"}.difference(archive.files):
                    wanted, found = " and ".join(sorted(missing)), ", ".join(archive.files) or "none"
                    raise BadInput(f"{path} has no array {wanted} (its arrays: {found})", SAVE)
                return _array(path, archive, "x"), _array(path, archive, "y")
    except FileNotFoundError:
        raise BadInput(f"no file {path}", "check the path after npz:") from None
    except IsADirectoryError:
        raise BadInput(f"{path} is a folder", "give the npz file itself") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: encrypted, unknown compression, ~ of nobody
        raise BadInput(f"cannot read {path}: {error}", "check the file and its permissions") from None
    except MemoryError:
        raise BadInput(f"{path} does not fit into memory", "save fewer samples, or x as uint8") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise BadInput(f"{path} is damaged: {error}", "copy or write it again") from None


def _array(path: Path, archive: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    try:
        return np.asarray(archive[key])
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise
        remedy = f"save {key} as one array of numbers"
        raise BadInput(f"{path}: {key} holds Python objects, which are never unpickled", remedy) from None


def _checked_samples(path: Path, x: np.ndarray) -> np.ndarray:
    """The values of x as uint8 or float32, once sure that they are finite numbers in a square layout."""
    if x.dtype.kind not in "buif":
        raise BadInput(f"{path}: x has dtype {x.dtype}", "save x as real numbers, e.g. uint8 or float32")
    if x.ndim not in (4, 5):
        raise BadInput(f"{path}: x has {x.ndim} dimensions, shape {list(x.shape)}", LAYOUT)
    if x.size == 0:
        raise BadInput(f"{path}: x has no values, shape {list(x.shape)}", "save at least one sample")
    if x.shape[-2] != x.shape[-1]:
        problem = f"{path}: images of x are {x.shape[-2]} high and {x.shape[-1]} wide, shape {list(x.shape)}"
        raise BadInput(problem, f"pad or crop them to squares, and {LAYOUT}")
    if x.dtype == np.uint8:
        return x
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is reported below
        values = x.astype(np.float32, copy=False)
    if bad := values.size - np.count_nonzero(np.isfinite(values)):
        problem = f"{path}: x holds {bad} of {values.size} values that are NaN or infinite as float32"
        raise BadInput(problem, "remove or replace them")
    return values


def _checked_labels(path: Path, y: np.ndarray, samples: int) -> np.ndarray:
    """The labels as int64, once sure that they are whole numbers from 0, one a sample."""
    if y.dtype.kind not in "iu":
        remedy = "save class numbers from 0: y.astype(np.int64), after checking that they are whole"
        raise BadInput(f"{path}: y has dtype {y.dtype}, and labels are integers", remedy)
    if y.ndim != 1:
        raise BadInput(f"{path}: y has {y.ndim} dimensions, shape {list(y.shape)}", "save y as [N]")
    if len(y) != samples:
        raise BadInput(f"{path}: x has {samples} samples and y {len(y)}", "save one label for each sample")
    labels = y.astype(np.int64)
    if bad := np.count_nonzero(labels < 0):
        raise BadInput(f"{path}: y holds {bad} negative labels", "number the classes from 0")
    return labels
