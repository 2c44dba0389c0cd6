"""`mpdviz figures`: the figures and tables of a paper from run folders and checkpoints."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mpdviz.errors import BadInput, MpdvizError

from .output import say
from .select import layer_numbers
from .source import Source, record

if TYPE_CHECKING:
    from mpdviz.figures.paper.study import Recorded
    from mpdviz.runs.reading import StoredRun
    from mpdviz.system.team import Team

HELP = """Draw what a paper on surrogate widths shows: potentials and intervals, available ratio by layer and
over training, widths, loss and accuracy, predicted spread, gradient by depth; and LaTeX tables.

RUNS are folders of `mpdviz train --out`, of `mpdviz compare --strategies ... --out` and checkpoints (.pt) on
one data set, e.g. several strategies with several seeds each. Every figure comes with its numbers (.csv) and
its caption (.txt)."""


def figures(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS", help="run folders and checkpoints")],
    out: Annotated[Path, typer.Option(help="folder for figures and tables", metavar="DIR")],
    format_: Annotated[
        str, typer.Option("--format", help="pdf, svg, png or several: pdf,svg", metavar="F,F,...")
    ] = "pdf",
    style: Annotated[str, typer.Option(help="ijcai, neurips or talk")] = "ijcai",
    layer: Annotated[
        str | None,
        typer.Option(help="number or name for the potentials (default: lowest available ratio)", metavar="L"),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="record only the first N samples", metavar="N")] = None,
    batch_size: Annotated[int, typer.Option(help="samples a forward pass")] = 64,
    device: Annotated[str, typer.Option(help="cpu, cuda, ... or auto")] = "auto",
) -> None:
    """Check everything, record the best checkpoints, write."""
    from mpdviz.figures import paper
    from mpdviz.figures.paper import look
    from mpdviz.figures.paper.study import Study
    from mpdviz.figures.style import check_format
    from mpdviz.system.files import make_folder
    from mpdviz.system.team import team

    formats = list(dict.fromkeys(format_.split(",")))
    for name in formats:
        check_format(name)
    look.get(style)
    known = [_read(path) for path in _expanded(runs)]
    Study(known)  # refuses runs that do not belong together before the long work
    number = None if layer is None else _layer_number(layer, known)
    recordings: dict[Path, Recorded] = {}
    unrecorded: dict[Path, str] = {}
    gradients = not all(run.has_gradients for run in known)
    with team() as us:
        for run in known:
            source = Source(
                [run.checkpoint],
                split="val",
                limit=limit,
                batch_size=batch_size,
                gradients=gradients,
                device=device,
            )
            try:
                recorded = _record(run, source, us)
            except MpdvizError as error:
                unrecorded[run.path] = str(error)
                continue
            if recorded is not None:
                recordings[run.path] = recorded
        if not us.leads:
            return
    study = Study(known, recordings, unrecorded=unrecorded, layer=number)
    left_out = paper.skipped(study)
    for name, reason in left_out.items():
        say(f"skipped {name}: {escape(reason)}")
    make_folder(out)
    for path in paper.write(study, out, formats, style):
        print(path)


def _expanded(paths: list[Path]) -> list[Path]:
    """The run folders of a comparison in its place."""
    from mpdviz.compare import plan

    expanded: list[Path] = []
    for path in paths:
        if not (path / plan.FILE).exists():
            expanded.append(path)
            continue
        finished = [run.folder.path for run in plan.read(path).runs() if run.folder.result.exists()]
        if not finished:
            raise BadInput(f"{path} holds no finished run", "train with `mpdviz compare --strategies ...`")
        expanded += finished
    return expanded


def _read(path: Path) -> "StoredRun":
    """A run folder, or a checkpoint that knows its settings."""
    from dataclasses import replace

    from mpdviz import checkpoint
    from mpdviz.runs.reading import StoredRun

    if path.suffix != ".pt":
        run = StoredRun.of_folder(path)
        if "test_accuracy" in run.result or not run.checkpoint.exists():
            return run
        return replace(run, result={**checkpoint.load(run.checkpoint).metrics, **run.result})
    loaded = checkpoint.load(path)
    if loaded.config is None:
        raise BadInput(
            f"{path} is a released checkpoint: it names neither data, strategy nor seed",
            "give checkpoints of `mpdviz train`; `mpdviz inspect` draws this one",
        )
    return StoredRun(path, path, loaded.config, result=loaded.metrics)


def _layer_number(layer: str, runs: "list[StoredRun]") -> int:
    from mpdviz import checkpoint

    network = checkpoint.load(runs[0].checkpoint).network
    names = dict(enumerate((name for name, _ in network.spiking_layers()), start=1))
    chosen = layer_numbers(layer, names)
    if len(chosen) > 1:
        raise BadInput(f"--layer {layer} names {len(chosen)} layers", "give one")
    return chosen.pop()


def _record(run: "StoredRun", source: Source, us: "Team") -> "Recorded | None":
    import pandas as pd

    from mpdviz.analysis import metrics
    from mpdviz.figures.paper.study import Recorded

    if not run.checkpoint.exists():
        raise BadInput(f"{run.path} has no checkpoints/best.pt", "train at least one epoch")
    recording = record(source, us, lambda names, timesteps: None)
    if recording is None:
        return None
    histograms = [metrics.histogram(*layer) for layer in sorted(recording.layers.items())]
    return Recorded(recording.table(), pd.concat(histograms, ignore_index=True))
