"""What `torch.save` wrote, read safely: checksums verified, no code run, tensors that are plain arrays."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.system.reading import check_archive, check_room, opened

DTYPES = (
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
)
COPIES = 2
"""Of a file, that reading it holds at a time: its verified parts, and the tensors."""


def read_saved(path: Path, kind: str) -> Any:
    """The object that `torch.save` put into `path`.

    Args:
        path: the file.
        kind: what it should hold, e.g. checkpoint.

    Raises:
        BadInput: not such a file, damaged, too large, or holding anything but tensors and plain values.
    """
    clean = _verified(path, kind)
    try:
        return torch.load(clean, map_location="cpu", weights_only=True)
    except Exception as error:  # torch wraps every reason, refused code included, in its own ways
        if "WeightsUnpickler" in str(error) or "Weights only" in str(error):
            raise _refused(path, str(error)) from None
        raise _damaged(path, kind) from None


def _verified(path: Path, kind: str) -> io.BytesIO:
    """A fresh archive of the verified parts of one.

    torch reads an archive's directory in its own way and verifies nothing: a flipped attribute bit makes it
    leave a weight's memory as it was.
    """
    clean, name = io.BytesIO(), ""
    with opened(path, kind) as file:
        size = file.seek(0, 2)
        file.seek(0)
        if not size:
            raise BadInput(f"{kind} {path} is empty", "make or copy it again")
        if file.read(2) != b"PK":
            raise BadInput(
                f"{path} is not a {kind} archive (and nothing in it was run)",
                "give a file written by mpdviz or by torch.save in its zip format",
            )
        check_room(COPIES * size, f"{kind} {path}")
        try:
            with zipfile.ZipFile(file) as archive, zipfile.ZipFile(clean, "w") as copy:
                check_archive(archive, size, f"{kind} {path}")
                for name in archive.namelist():
                    copy.writestr(name, archive.read(name))
        except BadInput:
            raise
        except Exception as error:  # zipfile answers damage with half a dozen unrelated exceptions
            if "CRC" in str(error):
                problem = f"{kind} {path} is damaged: the checksum of {name} does not match"
                raise BadInput(problem, "copy or make it again") from None
            raise _damaged(path, kind) from None
    clean.seek(0)
    return clean


def _damaged(path: Path, kind: str) -> BadInput:
    return BadInput(f"{kind} {path} is damaged or cut short", "copy or make it again")


def _refused(path: Path, reason: str) -> BadInput:
    named = re.search(r"GLOBAL (\S+)", reason)
    objects = f"Python objects ({named[1]})" if named else "Python objects"
    remedy = "save a plain state dict, e.g. torch.save({'net': model.state_dict()}, path)"
    if named and named[1] == "argparse.Namespace":  # common, and plain values to those who know it
        remedy = (
            "save its state dict alone: torch.serialization.add_safe_globals([argparse.Namespace]); "
            f"torch.save(torch.load({str(path)!r})['state_dict'], 'weights.pt'), or what it is called"
        )
    return BadInput(f"{path} holds {objects}, not only tensors (nothing in it was run)", remedy)


def check_tensor(value: Any, what: str) -> Tensor:
    """A tensor as any network could have it: values in memory of its own, of a common type.

    Raises:
        BadInput: sparse, nested, quantized or meta, of another type, or claiming more values than it has.
    """
    remedy = "save dense tensors of common types"
    if not isinstance(value, Tensor):
        raise BadInput(f"{what} is no tensor", "make it again")
    if value.is_nested or value.is_quantized or value.layout != torch.strided or value.device.type != "cpu":
        kind = next(
            word
            for word, found in (
                ("nested", value.is_nested),
                ("quantized", value.is_quantized),
                ("sparse", value.layout != torch.strided),
                ("meta", True),
            )
            if found
        )
        raise BadInput(f"{what} is a {kind} tensor", remedy)
    if value.dtype not in DTYPES:
        raise BadInput(f"{what} has dtype {str(value.dtype).removeprefix('torch.')}", remedy)
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise BadInput(f"{what} claims more values than it has, shape {list(value.shape)}", remedy)
    return value
