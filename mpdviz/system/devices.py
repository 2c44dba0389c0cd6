"""Which device a command runs on."""

import torch

from mpdviz.errors import BadInput


def pick_device(name: str) -> torch.device:
    """The device called `name`; auto takes a GPU where there is one.

    Raises:
        BadInput: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError):
        raise BadInput(
            f"device {name!r} is not usable here", "choose cpu, cuda, cuda:1, ... or auto"
        ) from None
    return device
