"""`prescribed`: widths that a file names, layer by layer and timestep by timestep."""

import hashlib
import re
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from mpdviz.errors import BadInput, unknown_name
from mpdviz.strategies.base import Place, Situation, Strategy
from mpdviz.system.files import exists
from mpdviz.system.reading import parse_json, read_bytes

KIND = "file of widths"
MOST = 16 << 20
"""Bytes beyond which a file is no file of widths."""
LARGEST = 3e38
"""Widths stay below what single precision holds."""
FORM = 'write {"default": 1.0, "layers": {"1": [0.5, 0.75]}}: layers by number or name, a width a timestep'


class Prescribed(Strategy):
    """Widths from a file, a layer and timestep each, as `mpdviz advise --out` writes it (ours).

        {"default": 1.0, "layers": {"1": [0.5, 0.75], "hidden": 0.5}}

    Layers go by number, from 1 in execution order, or by name; a single number is the width of every
    timestep. A layer that the file does not name has the width `default`. With `sha256` (the first digits, 8
    at the least) a file of other content is refused.

    The file is read when a network is built, a path that is not absolute from the working folder. The widths
    then belong to the network's state: a checkpoint does not need the file. A run that is resumed does not
    either, but is refused where the file is there and says something else by now.
    """

    name: ClassVar[str] = "prescribed"
    scope: ClassVar[str] = "layer x timestep"
    source: ClassVar[str] = "ours"
    texts: ClassVar[tuple[str, ...]] = ("file", "sha256")

    kappas: Tensor
    """Full widths `[T]`; empty until the strategy is placed or loaded."""

    def __init__(self, file: str = "", sha256: str = "") -> None:
        """Set where the widths are; nothing is read.

        Raises:
            BadInput: no file, or digits that are none.
        """
        super().__init__()
        if not file:
            raise BadInput("strategy 'prescribed' names no file", "write prescribed:FILE, e.g. widths.json")
        if sha256 and not re.fullmatch("[0-9a-f]{8,64}", sha256):
            raise BadInput(f"strategy 'prescribed': sha256={sha256}", "give 8 to 64 digits, or leave it out")
        self.file, self.sha256 = file, sha256
        self.register_buffer("kappas", torch.zeros(0))

    def place(self, place: Place) -> None:
        """Read the layer's widths; where a checkpoint has given them, the file must agree or be gone.

        Raises:
            BadInput: the file cannot be read, is damaged or another, or does not fit the network.
        """
        loaded = len(self.kappas) > 0
        if loaded and not exists(Path(self.file)):
            return
        kappas = torch.tensor(widths_of(Path(self.file), place, self.sha256)).to(self.kappas)
        if loaded and not torch.equal(kappas, self.kappas):
            raise BadInput(
                f"{self.file} has other widths for layer {place.number} ({place.name}) than the run has",
                "restore the file, or begin a new run",
            )
        self.kappas = kappas

    def widths(self, situation: Situation) -> Tensor:
        """The widths of this layer.

        Raises:
            BadInput: they are of another T, or the strategy belongs to no network.
        """
        if not len(self.kappas):
            raise BadInput(
                "strategy 'prescribed' was not told which layer it is for",
                "build with `mpdviz.networks.build`",
            )
        if self.kappas.shape != (situation.timesteps,):
            raise BadInput(
                f"strategy 'prescribed' holds widths of T={len(self.kappas)}, not of T={situation.timesteps}",
                "use the network with the T it was trained with",
            )
        return self.kappas.to(situation.gamma.dtype)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        saved = state_dict.get(f"{prefix}kappas")
        if saved is not None:
            self.kappas = torch.zeros_like(saved, device=self.kappas.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


def widths_of(path: Path, place: Place, sha256: str = "") -> list[float]:
    """Full widths `[T]` of one layer.

    Args:
        path: a file as of `Prescribed`.
        place: the layer.
        sha256: first digits of the content's SHA-256; empty takes any.

    Raises:
        BadInput: it cannot be read, is damaged or another, or does not fit the network.
    """
    content = read_bytes(path, KIND, MOST)
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(sha256):
        raise BadInput(
            f"{KIND} {path} has changed: its SHA-256 begins with {digest[: len(sha256)]}, not {sha256}",
            "restore it, or give the new digits",
        )
    try:
        said = parse_json(content.decode())
    except (ValueError, RecursionError):
        raise BadInput(f"{KIND} {path} is not JSON", FORM) from None
    layers = said.get("layers") if isinstance(said, dict) else None
    if not isinstance(layers, dict) or not set(said) <= {"default", "layers", "made_by"}:
        raise BadInput(f"{KIND} {path} is none", FORM)
    of = {str(number): number for number in range(1, len(place.names) + 1)}
    of |= {name: number for number, name in enumerate(place.names, start=1)}
    found: dict[int, Any] = {}
    for key, value in layers.items():
        if key not in of:
            raise unknown_name(f"layer in {path}:", key, of)
        if of[key] in found:
            raise BadInput(f"{KIND} {path} names layer {of[key]} twice", "name it once, by number or name")
        found[of[key]] = _checked(value, place.timesteps, f"{KIND} {path}: layer {key}")
    default = said.get("default")
    if default is not None:
        default = _checked(default, place.timesteps, f"{KIND} {path}: default")
    for number, name in enumerate(place.names, start=1):
        if number not in found and default is None:
            raise BadInput(f"{KIND} {path} lacks layer {number} ({name}) and has no default", FORM)
    widths: list[float] = found.get(place.number, default)
    return widths


def _checked(value: Any, timesteps: int, where: str) -> list[float]:
    """Widths `[T]` from what a file says.

    Raises:
        BadInput: no positive numbers, or not one a timestep.
    """
    widths = value if isinstance(value, list) else [value] * timesteps
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < LARGEST:
            raise BadInput(f"{where}: {str(width)[:40]!r} is no width", "give positive numbers")
    if len(widths) != timesteps:
        raise BadInput(f"{where}: {len(widths)} widths for T={timesteps}", "give one a timestep")
    return [float(width) for width in widths]
