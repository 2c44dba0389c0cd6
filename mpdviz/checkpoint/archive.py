"""Reading weights safely: checksums verified, no code run, names and shapes checked first."""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz.errors import BadInput, NotFinite
from mpdviz.system.files import read_bytes


def read_archive(path: Path) -> dict[str, Any]:
    """The dict that `torch.save` put into `path`, checksums verified, no code run.

    Raises:
        BadInput: not such a file, damaged, or holding anything but tensors and plain values.
    """
    raw = read_bytes(path, "checkpoint")
    damaged = BadInput(f"checkpoint {path} is damaged or cut short", "copy or make it again")
    if not raw.startswith(b"PK"):
        raise BadInput(
            f"{path} is not a checkpoint archive (and nothing in it was run)",
            "give a file written by mpdviz or by torch.save in its zip format",
        )
    # torch reads the archive's directory in its own way and verifies nothing (a flipped attribute bit makes
    # it leave a weight's memory as it was), so it is handed a fresh archive of the verified parts.
    clean = io.BytesIO()
    name = ""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive, zipfile.ZipFile(clean, "w") as copy:
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise damaged
            for name in names:
                copy.writestr(name, archive.read(name))
    except Exception as error:  # zipfile answers damage with half a dozen unrelated exceptions
        if "CRC" in str(error):
            problem = f"checkpoint {path} is damaged: the checksum of {name} does not match"
            raise BadInput(problem, "copy or make it again") from None
        raise damaged from None
    try:
        content = torch.load(io.BytesIO(clean.getvalue()), map_location="cpu", weights_only=True)
    except Exception as error:  # torch wraps every reason, refused code included, in its own ways
        if "WeightsUnpickler" in str(error) or "Weights only" in str(error):
            named = re.search(r"GLOBAL (\S+)", str(error))
            objects = f"Python objects ({named[1]})" if named else "Python objects"
            remedy = "save a plain state dict, e.g. torch.save({'net': model.state_dict()}, path)"
            if named and named[1] == "argparse.Namespace":  # common, and plain values to those who know it
                remedy = (
                    "save its state dict alone: torch.serialization.add_safe_globals([argparse.Namespace]); "
                    f"torch.save(torch.load({str(path)!r})['state_dict'], 'weights.pt'), or what it is called"
                )
            raise BadInput(
                f"{path} holds {objects}, not only tensors (nothing in it was run)", remedy
            ) from None
        raise damaged from None
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds a {type(content).__name__}, not a checkpoint", "give a checkpoint")
    return content


def fill(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load `state` into `network` and put it into evaluation mode.

    Raises:
        BadInput: names or shapes that are not the network's.
        NotFinite: values that are NaN or infinite.
    """
    own = network.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise BadInput(f"{path}: {name!r} is no tensor", "make it again")
    missing = [f"missing {name!r} {list(own[name].shape)}" for name in own if name not in state]
    unexpected = [f"unexpected {name!r} {list(state[name].shape)}" for name in state if name not in own]
    reshaped = [
        f"{name!r} is {list(state[name].shape)} where {list(own[name].shape)} is expected"
        for name in own
        # Empty: what a strategy keeps and sizes once it has seen data.
        if name in state and state[name].shape != own[name].shape and own[name].numel()
    ]
    problems = [found[0] for found in (missing, unexpected, reshaped) if found]
    if problems:
        raise BadInput(
            f"{path} holds the state dict of another architecture: {', '.join(problems)}",
            "give a checkpoint of this architecture",
        )
    for name, tensor in state.items():
        bad = int((~tensor.isfinite()).sum())
        if bad:
            raise NotFinite(
                f"{path}: {bad} of {tensor.numel()} values of {name!r} are NaN or infinite",
                "use an earlier checkpoint of that run; a lower `lr` may keep the next one finite",
            )
    network.load_state_dict(dict(state))
    network.eval()
