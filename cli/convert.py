"""`mpdviz convert`: a released checkpoint as one of ours."""

from pathlib import Path
from typing import Annotated

import typer

from mpdviz.errors import BadInput

from .output import tell

HELP = """Write a released checkpoint of the MPD-AGL reference (ResNet-19 or VGGSNN, LIF or PLIF) as one of
mpdviz's.

What such a file does not hold is taken from the options or the reference's defaults, and kept in the new
file."""


def convert(
    released: Annotated[Path, typer.Argument(help="released checkpoint, e.g. best_model.pth")],
    out: Annotated[Path, typer.Argument(help="file to write, e.g. out.pt")],
    strategy: Annotated[str | None, typer.Option(help="surrogate width (default: mpd-agl)")] = None,
    timesteps: Annotated[int | None, typer.Option(help="T (default: 2 for ResNet-19, 10 for VGGSNN)")] = None,
    decay: Annotated[float | None, typer.Option(help="of LIF neurons (default: 0.2)")] = None,
    v_th: Annotated[float | None, typer.Option(help="threshold (default: 0.5)")] = None,
) -> None:
    """Read, check, write."""
    from mpdviz import checkpoint
    from mpdviz.system.files import exists, make_folder

    if exists(out):
        raise BadInput(f"{out} exists", "choose another name, or remove it")
    loaded = checkpoint.load(released, strategy=strategy, timesteps=timesteps, decay=decay, v_th=v_th)
    if loaded.config is not None:
        raise BadInput(f"{released} is a checkpoint of mpdviz already", "use it as it is")
    make_folder(out.parent)
    checkpoint.save(
        out, loaded.network, architecture=loaded.architecture, config=None, metrics=loaded.metrics
    )
    if loaded.assumed:
        taken = ", ".join(f"`{name}` {value}" for name, value in loaded.assumed.items())
        tell("", f"taken, as {released} does not hold it: {taken}")
    built = loaded.architecture
    print(f"{out}: {built.name}, {built.neuron}, T={loaded.network.timesteps}")
