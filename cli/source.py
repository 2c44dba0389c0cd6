"""Where a recording comes from: a checkpoint run over a data set, or recordings saved before."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpdviz.errors import BadInput

from .completion import names

if TYPE_CHECKING:
    from mpdviz.api import Recording
    from mpdviz.inspection import Options, Prepared

OWN = "Your own network"


@dataclass(frozen=True)
class Source:
    """What to record, and how."""

    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CKPT", help="checkpoint, or recordings (.npz) to read and merge"),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            help="your own network: runs that function of yours; without CKPT with fresh weights",
            metavar="MODULE:FUNCTION",
            rich_help_panel=OWN,
        ),
    ] = None
    model_args: Annotated[
        list[str] | None,
        typer.Option(help="argument of the function; may be repeated", metavar="K=V", rich_help_panel=OWN),
    ] = None
    time_axis: Annotated[
        int | None,
        typer.Option(
            help="axis on which it takes whole sequences (default: whether and where is tried)",
            metavar="AXIS",
            rich_help_panel=OWN,
        ),
    ] = None
    repeat_input: Annotated[
        int | None,
        typer.Option(
            help="show it each image T times (default: it repeats images itself)",
            metavar="T",
            rich_help_panel=OWN,
        ),
    ] = None
    loss: Annotated[
        str | None,
        typer.Option(
            help="with --gradients: function of output and target (default: cross-entropy)",
            metavar="MODULE:FUNCTION",
            rich_help_panel=OWN,
        ),
    ] = None
    batch: Annotated[
        str | None,
        typer.Option(
            help="function of a batch x, y that gives what it is fed: tensor, tuple or dict of arguments",
            metavar="MODULE:FUNCTION",
            rich_help_panel=OWN,
        ),
    ] = None
    key: Annotated[
        str | None,
        typer.Option(
            help="entry of CKPT that holds its weights (default: the one that fits)",
            metavar="NAME",
            rich_help_panel=OWN,
        ),
    ] = None
    prefix: Annotated[
        str | None,
        typer.Option(
            help="to strip from names in CKPT (default: what makes them fit)",
            metavar="P",
            rich_help_panel=OWN,
        ),
    ] = None
    data: Annotated[
        str | None,
        typer.Option(
            help="data set, folder:DIR or npz:FILE (default: the checkpoint's)", autocompletion=names("data")
        ),
    ] = None
    data_dir: Annotated[Path | None, typer.Option(help="where the data set's files lie")] = None
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val, test or all (default: test; of npz: all)", autocompletion=names("splits")
        ),
    ] = None
    limit: Annotated[int | None, typer.Option(help="only the first N samples", metavar="N")] = None
    batch_size: Annotated[int, typer.Option(help="samples a forward pass")] = 64
    mode: Annotated[
        str,
        typer.Option(
            help="eval, or train: batch statistics, as training sees the potentials",
            autocompletion=names("modes"),
        ),
    ] = "eval"
    gradients: Annotated[
        bool, typer.Option("--gradients", help="also record the loss gradient at the potentials")
    ] = False
    what_if: Annotated[
        str | None, typer.Option(help="other widths to count exactly, e.g. 0.5,2", metavar="K,K,...")
    ] = None
    timesteps: Annotated[int | None, typer.Option(help="T (default: the checkpoint's)")] = None
    strategy: Annotated[
        str | None,
        typer.Option(help="of a released file (default: mpd-agl)", autocompletion=names("strategies")),
    ] = None
    decay: Annotated[float | None, typer.Option(help="of a released file's LIF (default: 0.2)")] = None
    v_th: Annotated[float | None, typer.Option(help="of a released file (default: 0.5)")] = None
    epsilon: Annotated[
        float, typer.Option(help="available where h >= epsilon * max h, for infinite supports")
    ] = 0.1
    device: Annotated[str, typer.Option(help="cpu, cuda, ... or auto", autocompletion=names("devices"))] = (
        "auto"
    )
    backend: Annotated[
        str,
        typer.Option(help="neuron kernels: eager, fused, compiled or auto", autocompletion=names("kernels")),
    ] = "auto"


def prepared(source: Source) -> "Prepared":
    """What `source` describes, everything checked and nothing recorded yet.

    Raises:
        BadInput: anything about the files, the data or the options that does not fit.
    """
    paths = source.paths or []
    if source.model is None and source.model_args is not None:
        raise BadInput("`model_args` without `model`", "give `model`, or leave it out")
    if source.model is None and not paths:
        raise BadInput("no checkpoint", "give one, or --model MODULE:FUNCTION; see `mpdviz --help`")
    with _uncollected():
        return _prepared(source, paths)


def _prepared(source: Source, paths: list[Path]) -> "Prepared":
    from mpdviz.inspection import prepare

    options = options_of(source)
    if source.model is None or any(path.suffix == ".npz" for path in paths):
        return prepare(paths, options)
    if len(paths) > 1:
        raise BadInput(f"{len(paths)} checkpoints", "give one")
    from mpdviz.inspection.theirs import build

    with redirect_stdout(sys.stderr):  # stdout is for tables, whatever their network prints
        model = build(source.model, source.model_args or ())
        return prepare(model, options, weights=paths[0] if paths else None)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage inside the block, nor ever among what was made there.

    Importing torch and pandas makes some 200,000 objects that stay; going through them again and again takes
    a seventh of the time of the imports.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


def options_of(source: Source) -> "Options":
    """What is asked of an inspection.

    Raises:
        BadInput: an option out of range.
    """
    from mpdviz.inspection import Options

    chosen = {field.name: getattr(source, field.name) for field in fields(Options)}
    return Options(**chosen | {"what_if": _widths(source.what_if)})


def record(source: Source, inspection: "Prepared") -> "Recording | None":
    """Record what `source` describes; None for a process that does not lead its team."""
    with redirect_stdout(sys.stderr):
        return inspection.run()


def told(source: Source, inspection: "Prepared") -> list[str]:
    """What was recorded over what, once it was."""
    own = source.model is not None
    return [
        f"{source.model}, {line}" if own and at == 0 else line for at, line in enumerate(inspection.notes)
    ]


def _widths(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise BadInput(f"`what_if` {text}", "give widths like 0.5,1,2") from None
