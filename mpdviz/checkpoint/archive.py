"""Weights read from a file, checked against the network that they are for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mpdviz.errors import BadInput, NotFinite
from mpdviz.system.saved import check_tensor, read_saved


def read_archive(path: Path) -> dict[str, Any]:
    """The dict that `torch.save` put into `path`, checksums verified, no code run.

    Raises:
        BadInput: not such a file, damaged, or holding anything but tensors and plain values.
    """
    content = read_saved(path, "checkpoint")
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds a {type(content).__name__}, not a checkpoint", "give a checkpoint")
    return content


def check_state(network: nn.Module, state: Mapping[str, Any], path: Path) -> None:
    """Refuse what are no weights of `network`, whose tensors may be on the meta device.

    Raises:
        BadInput: names, shapes or types that are not the network's, or tensors without values.
    """
    own = network.state_dict()
    for name, value in state.items():
        check_tensor(value, f"{path}: {name!r}")
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
    for name, value in state.items():
        if value.is_floating_point() != own[name].is_floating_point():
            kinds = [str(tensor.dtype).removeprefix("torch.") for tensor in (value, own[name])]
            raise BadInput(
                f"{path}: {name!r} is {kinds[0]} where {kinds[1]} is expected", "save the weights as they are"
            )


def fill(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load `state` into `network` and put it into evaluation mode.

    Raises:
        BadInput: names, shapes or types that are not the network's.
        NotFinite: values that are NaN or infinite.
    """
    check_state(network, state, path)
    for name, tensor in state.items():
        bad = int((~tensor.isfinite()).sum())
        if bad:
            raise NotFinite(
                f"{path}: {bad} of {tensor.numel()} values of {name!r} are NaN or infinite",
                "use an earlier checkpoint of that run; a lower `lr` may keep the next one finite",
            )
    network.load_state_dict(dict(state))
    network.eval()
