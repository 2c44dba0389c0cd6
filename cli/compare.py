"""`mpdviz compare`: checkpoints side by side, or strategies over seeds."""

from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mpdviz.errors import BadInput, unknown_name

from .compared import print_accuracy, print_cross, print_sides, print_widths
from .completion import names
from .formats import EXPORTS
from .options import takes
from .output import hint, note, say, tell, wrote
from .settings import takes_settings
from .values import parse_seeds, parse_shard, parse_values

if TYPE_CHECKING:
    from mpdviz.compare.results import Collected

HELP = """Compare checkpoints over the same data, or strategies over seeds.

With CKPTs: the same data through each, their layers side by side with differences from the first, and each
one's potentials under the others' widths. Of the settings only those of the data and of released files apply;
what is left out is the checkpoints' own.

With --seeds and arms (--strategies, --vary or --arms): trains every arm at every seed, from the same initial
weights where shapes allow and in the same data order, each in its own run folder under --out; then accuracies
and paired differences from the first arm. Finished runs are skipped and interrupted ones continued: give the
same command again."""

FORMATS = ("table", "csv", "json")
FIGURE_FORMATS = ("png", "pdf", "svg")
NAMED = 10
"""Missing runs that are named; of more, their number is told."""
FILES = 5
"""Files that a comparison of checkpoints leaves."""


@dataclass(frozen=True)
class Training:
    """Options of a comparison that trains."""

    strategies: Annotated[
        str | None,
        typer.Option(help="arms, e.g. fixed:kappa=2.5,fixed:shape=atan; the first is compared with"),
    ] = None
    vary: Annotated[
        list[str] | None,
        typer.Option(help="values of a setting, e.g. decay=0.2,0.9; several cross", metavar="NAME=A,B"),
    ] = None
    arms: Annotated[
        Path | None, typer.Option(help="TOML file of named arms, as of `mpdviz advise --out`", metavar="FILE")
    ] = None
    grid: Annotated[
        list[str] | None,
        typer.Option(help="each arm takes its best on validation, e.g. lr=0.03,0.1", metavar="NAME=A,B"),
    ] = None
    grid_seeds: Annotated[
        str | None,
        typer.Option(help="seeds that the grid is tried at; at the others the choice alone", metavar="0-1"),
    ] = None
    reference: Annotated[
        str | None, typer.Option(help="the arm to compare with (default: the first)", metavar="ARM")
    ] = None
    seeds: Annotated[str | None, typer.Option(help="e.g. 0-4 or 0,2,5")] = None
    recipe: Annotated[Path | None, typer.Option(help="TOML file or name of a recipe", metavar="FILE")] = None
    jobs: Annotated[
        int | None,
        typer.Option(help="runs side by side (default: 1, or all that fit a cluster)", metavar="N"),
    ] = None
    executor: Annotated[
        str | None,
        typer.Option(
            help="local (default), ray or slurm; `mpdviz list executors`",
            metavar="NAME",
            autocompletion=names(("local", "ray", "slurm")),
        ),
    ] = None
    address: Annotated[
        str | None, typer.Option(help="of the Ray cluster (default: this machine's)", metavar="HOST:PORT")
    ] = None
    shard: Annotated[
        str | None, typer.Option(help="only every 8th run, from the 2nd on; then --collect", metavar="2/8")
    ] = None
    collect: Annotated[
        Path | None, typer.Option(help="only read the results of a comparison's folder", metavar="DIR")
    ] = None


@dataclass(frozen=True)
class Observing:
    """Options of a comparison of checkpoints."""

    split: Annotated[str | None, typer.Option(help="train, val, test or all, as of inspect")] = None
    limit: Annotated[int | None, typer.Option(help="only the first N samples", metavar="N")] = None
    mode: Annotated[str | None, typer.Option(help="eval (default) or train, as of inspect")] = None
    figure_format: Annotated[
        str | None, typer.Option(help="png (default), pdf or svg", autocompletion=names(FIGURE_FORMATS))
    ] = None
    full: Annotated[
        bool | None, typer.Option("--full", help="also by timestep, each under the others' widths")
    ] = None


@takes_settings
@takes(Training, "training")
@takes(Observing, "observing")
def compare(
    settings: dict[str, Any],
    training: Training,
    observing: Observing,
    checkpoints: Annotated[list[Path] | None, typer.Argument(metavar="[CKPT]...")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for what comes out", metavar="DIR")] = None,
    format_: Annotated[
        str, typer.Option("--format", help="table, csv or json", autocompletion=names(FORMATS))
    ] = "table",
    verbose: Annotated[bool, typer.Option("--verbose", help="name every file that is written")] = False,
) -> int:
    """See which use is meant, refuse the options of the others, go."""
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    if checkpoints and len(checkpoints) == 1 and _is_comparison(checkpoints[0]):
        training, checkpoints = replace(training, collect=checkpoints[0]), None
    if checkpoints:
        _refuse(training, "compares training runs", "leave it out, or leave the checkpoints out")
        _of_checkpoints(checkpoints, settings, observing, out, format_, verbose=verbose)
        return 0
    _refuse(observing, "is for checkpoints", "name checkpoints, or leave it out")
    if training.collect is not None:
        _refuse(replace(training, collect=None, reference=None), "with --collect", "leave it out")
        if settings or out is not None:
            name = "--out" if out is not None else f"--{next(iter(settings)).replace('_', '-')}"
            raise BadInput(f"{name} with --collect", "leave it out: the folder holds its settings")
        from mpdviz import compare as comparing

        collected = comparing.collect(training.collect, training.reference)
        _print_collected(collected, training.collect, format_, verbose=verbose)
        return 0
    return _train(training, settings, out, format_, verbose=verbose)


def _is_comparison(path: Path) -> bool:
    from mpdviz.system.files import exists
    from mpdviz.system.places import COMPARISON

    return exists(path / COMPARISON)


def _refuse(options: object, why: str, remedy: str) -> None:
    for name, value in vars(options).items():
        if value is not None:
            raise BadInput(f"--{name.replace('_', '-')} {why}", remedy)


def _of_checkpoints(
    paths: list[Path],
    settings: dict[str, Any],
    observing: Observing,
    out: Path | None,
    format_: str,
    *,
    verbose: bool,
) -> None:
    from mpdviz import compare as comparing
    from mpdviz import config
    from mpdviz.inspection import Options
    from mpdviz.inspection.options import OF_MODULES
    from mpdviz.runs.studies import run_folders
    from mpdviz.system.outputs import claim
    from mpdviz.system.progress import bar, whole

    if observing.figure_format is not None and out is None:
        raise BadInput("--figure-format without --out", "give --out too, or leave it out")
    figure_format = observing.figure_format or "png"
    if figure_format not in FIGURE_FORMATS:
        raise unknown_name("figure format", figure_format, FIGURE_FORMATS)
    # A training loss is called like the function that `inspect` takes for a module.
    known = [field.name for field in fields(Options) if field.name not in OF_MODULES]
    paths = [one for path in paths for one in run_folders(path) or [path]]
    for name in settings:
        if name not in known:
            raise BadInput(f"`{name}` is for training", "leave it out")
    checked = config.validate(settings, "options")
    options = {name: getattr(checked, name) for name in settings} | {
        name: value for name, value in vars(observing).items() if name in known and value is not None
    }
    ready = None if out is None else partial(claim, out, "compare")
    written: list[Path] = []
    with whole(parts=len(paths), later=0 if out is None else FILES):
        sides = comparing.checkpoints(paths, ready=ready, **options)
        if sides is None:
            return
        if out is not None:  # first: whoever reads the tables may leave before their end
            with bar("drawing", FILES) as progress:
                for path in sides.write(out, figure_format):
                    written.append(path)
                    progress.update()
    if format_ == "table":
        print_sides(sides.layers)
        (print_cross if observing.full else print_widths)(sides.cross)
    else:
        EXPORTS[format_](sides.layers)
    if out is not None:
        wrote(written, out, verbose=verbose)
    for line in sides.notes:
        note("", line)
    if format_ == "table" and out is None and not observing.full:
        hint("--full: by timestep; --out DIR: tables and a figure")
    if sides.cross["available_ratio"].isna().any():
        say("note: widths that change with the data, and layers without finite potentials, are not crossed")


def _train(
    training: Training, settings: dict[str, Any], out: Path | None, format_: str, *, verbose: bool
) -> int:
    given = [name for name in ("strategies", "vary", "arms") if getattr(training, name) is not None]
    if not given:
        raise BadInput("nothing to compare", "give checkpoints, or --strategies, --seeds and --out")
    if len(given) > 1:
        raise BadInput(f"--{given[0]} with --{given[1]}", "give one of them")
    if training.seeds is None:
        raise BadInput(f"--{given[0]} without --seeds", "give --seeds too, e.g. --seeds 0-4 --out DIR")
    if out is None:
        raise BadInput(f"--{given[0]} without --out", "give --out too, e.g. --seeds 0-4 --out DIR")
    from mpdviz import compare as comparing
    from mpdviz.compare import arms, executors

    executor = executors.get(training.executor or "local", training.address)
    if training.arms is not None:
        sides, shared = arms.read(training.arms, [str(settings.get("model", ""))])
        settings = shared | settings
    elif training.vary is not None:
        sides = arms.crossed(parse_values(training.vary, "vary"))
    else:
        sides = arms.of_strategies([name.strip() for name in str(training.strategies).split(",")])

    number, shards = parse_shard(training.shard or "1/1")
    collected = comparing.study(
        sides,
        grid=parse_values(training.grid or [], "grid"),
        grid_seeds=() if training.grid_seeds is None else parse_seeds(training.grid_seeds),
        reference=training.reference,
        seeds=parse_seeds(training.seeds),
        out=out,
        jobs=training.jobs,
        shard=(number, shards),
        executor=executor,
        on_event=lambda line: tell("", line),
        recipe=training.recipe,
        **settings,
    )
    if not executor.waits:
        say(f"mpdviz compare --collect {escape(str(out))} shows what is finished")
    elif shards > 1:
        say(f"shard {number} of {shards} is through; mpdviz compare --collect {out} brings all together")
    elif collected.any_finished:
        _print_collected(collected, out, format_, verbose=verbose)
    return 1 if collected.failures else 0


def _print_collected(collected: "Collected", folder: Path, format_: str, *, verbose: bool) -> None:
    from mpdviz.system.files import make_folder

    wrote(collected.write(make_folder(folder)), folder, verbose=verbose)
    if format_ == "table":
        print_accuracy(collected)
    else:
        EXPORTS[format_](collected.summary())
    if collected.missing:
        missing, finished = collected.missing, int(collected.runs["finished"].sum())
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        runs = f"{len(missing)} of {finished + len(missing)} runs"
        say(f"missing, {runs}: {escape(', '.join(missing[:NAMED]))}{more}")
