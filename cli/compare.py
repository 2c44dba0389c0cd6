"""`mpdviz compare`: checkpoints side by side, or strategies over seeds."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpdviz.errors import BadInput, unknown_name

from .compared import print_accuracy, print_cross, print_sides
from .options import takes
from .output import FORMATS as ALL_FORMATS
from .output import say
from .settings import takes_settings
from .source import Source, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpdviz.accumulations.layer import LayerAccumulation
    from mpdviz.compare.plan import Comparison

HELP = """Compare checkpoints over the same data, or strategies over seeds.

With CKPTs: the same data through each, their layers side by side with differences from the first, and each
one's potentials under the others' widths. Of the settings only those of the data and of released files apply;
what is left out is the checkpoints' own.

With --strategies and --seeds: trains every strategy at every seed, from the same initial weights and in the
same data order, each in its own run folder under --out; then accuracies and paired differences from the first
strategy. Finished runs are skipped and interrupted ones continued: give the same command again."""

FORMATS = ("table", "csv", "json")
OF_CHECKPOINTS = (
    "data",
    "data_dir",
    "strategy",
    "decay",
    "v_th",
    "timesteps",
    "batch_size",
    "device",
    "backend",
)
"""Settings that make sense for checkpoints too."""


@dataclass(frozen=True)
class Training:
    """Options of a comparison that trains."""

    strategies: Annotated[
        str | None, typer.Option(help="e.g. fixed:kappa=2.5,mpd-agl; the first is compared with")
    ] = None
    seeds: Annotated[str | None, typer.Option(help="e.g. 0-4 or 0,2,5")] = None
    recipe: Annotated[Path | None, typer.Option(help="TOML file or name of a recipe", metavar="FILE")] = None
    jobs: Annotated[int | None, typer.Option(help="runs side by side (default: 1)", metavar="N")] = None
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
    figure_format: Annotated[str | None, typer.Option(help="png (default), pdf or svg")] = None


@takes_settings
@takes(Training, "training")
@takes(Observing, "observing")
def compare(
    settings: dict[str, Any],
    training: Training,
    observing: Observing,
    checkpoints: Annotated[list[Path] | None, typer.Argument(metavar="[CKPT]...")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for what comes out", metavar="DIR")] = None,
    format_: Annotated[str, typer.Option("--format", help="table, csv or json")] = "table",
) -> int:
    """See which use is meant, refuse the options of the others, go."""
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    if checkpoints:
        _refuse(training, "compares training runs", "leave it out, or leave the checkpoints out")
        _of_checkpoints(checkpoints, settings, observing, out, format_)
        return 0
    _refuse(observing, "is for checkpoints", "name checkpoints, or leave it out")
    if training.collect is not None:
        _refuse(replace(training, collect=None), "with --collect", "leave it out")
        if settings or out is not None:
            name = "--out" if out is not None else f"--{next(iter(settings)).replace('_', '-')}"
            raise BadInput(f"{name} with --collect", "leave it out: the folder holds its settings")
        from mpdviz.compare import plan

        _collect(plan.read(training.collect), format_)
        return 0
    return _train(training, settings, out, format_)


def _refuse(options: object, why: str, remedy: str) -> None:
    for name, value in vars(options).items():
        if value is not None:
            raise BadInput(f"--{name.replace('_', '-')} {why}", remedy)


def _of_checkpoints(
    paths: list[Path], settings: dict[str, Any], observing: Observing, out: Path | None, format_: str
) -> None:
    from mpdviz.analysis import sides as checkpoints
    from mpdviz.system.files import make_folder, write_text
    from mpdviz.system.team import team

    figure_format = observing.figure_format or "png"
    sources = _sources(paths, settings, observing)
    if figure_format not in ("png", "pdf", "svg"):
        raise BadInput(f"figure format {figure_format!r}", "choose one of: png, pdf, svg")

    def ready(names: dict[int, str], timesteps: int) -> None:
        if out is not None:
            make_folder(out)

    recordings = {}
    with team() as us:
        for label, source in sources.items():
            recording = record(source, us, ready)
            if recording is not None:
                recordings[label] = recording.layers
    if not recordings:
        return
    sides, cross = checkpoints.sides(recordings), checkpoints.cross(recordings)
    if format_ == "table":
        print_sides(sides)
        print_cross(cross)
    else:
        ALL_FORMATS[format_](sides)
    if cross["available_ratio"].isna().any():
        say("note: widths that change with the data, and layers without finite potentials, are not crossed")
    if out is None:
        return
    from mpdviz.figures.compared import compared, numbers
    from mpdviz.figures.style import save

    tables = {"layers": sides, "cross": cross, "compared": numbers(sides, cross)}
    for name, table in tables.items():
        write_text(out / f"{name}.csv", table.to_csv(index=False))
        say(f"wrote {out / name}.csv")
    say(f"wrote {save(compared(sides, cross), out / f'compared.{figure_format}')}")


def _sources(paths: list[Path], settings: dict[str, Any], observing: Observing) -> dict[str, Source]:
    """What to record of each checkpoint, by its label; each counts the widths of all besides."""
    from mpdviz import checkpoint, config
    from mpdviz.analysis.sides import check_alike
    from mpdviz.api import load_recording

    for name in settings:
        if name not in OF_CHECKPOINTS:
            raise BadInput(f"--{name.replace('_', '-')} is for training", "leave it out")
    checked = config.validate(settings, "options")
    given = {name: getattr(checked, name) for name in settings}
    labels = [path.stem for path in paths]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in paths]
    if len(paths) < 2 or len(set(labels)) < len(labels):
        raise BadInput("fewer than two different checkpoints", "give two or more to compare")
    of_released = {name: given.get(name) for name in ("strategy", "timesteps", "decay", "v_th")}
    facts: dict[str, dict[str, object]] = {}
    kappas: dict[float, None] = {}
    for label, path in zip(labels, paths, strict=True):
        if path.suffix == ".npz":
            layers = load_recording(path).layers
            facts[label] = {"the number of layers": len(layers), "T": _timesteps(layers)}
            kappas |= {kappa: None for layer in layers.values() for kappa in layer.info.kappa}
            continue
        loaded = checkpoint.load(path, **of_released)
        network = loaded.network
        facts[label] = {
            "the number of layers": len(list(network.spiking_layers())),
            "T": network.timesteps,
            "the input's channels": network.in_channels,
            "the number of classes": loaded.build["num_classes"],
        }
        if "data" not in given and loaded.config is not None:
            facts[label]["their data (see --data)"] = loaded.config.data
        kappas |= {row["kappa"]: None for row in network.widths()}
    # A recording knows its potentials, not what the network takes and gives.
    known = set.intersection(*(set(fact) for fact in facts.values()))
    check_alike(
        {label: {what: fact[what] for what in fact if what in known} for label, fact in facts.items()}
    )
    shared = {name: value for name, value in vars(observing).items() if name != "figure_format"}
    options = given | {name: value for name, value in shared.items() if value is not None}
    widths = ",".join(map(repr, kappas))
    return {
        label: Source(paths=[path])
        if path.suffix == ".npz"
        else Source(paths=[path], gradients=True, what_if=widths, **options)
        for label, path in zip(labels, paths, strict=True)
    }


def _timesteps(layers: "Mapping[int, LayerAccumulation]") -> int:
    return max(layer.info.timesteps for layer in layers.values())


def _train(training: Training, settings: dict[str, Any], out: Path | None, format_: str) -> int:
    if training.strategies is None:
        raise BadInput("nothing to compare", "give checkpoints, or --strategies, --seeds and --out")
    for option, value in (("--seeds", training.seeds), ("--out", out)):
        if value is None:
            raise BadInput(f"--strategies without {option}", f"give {option} too, e.g. --seeds 0-4 --out DIR")
    jobs = 1 if training.jobs is None else training.jobs
    if jobs < 1:
        raise BadInput(f"--jobs {jobs}", "give at least 1")
    from mpdviz import config
    from mpdviz.compare import launch, plan

    number, shards = plan.parse_shard(training.shard or "1/1")
    strategies, seeds = plan.parse_strategies(training.strategies), plan.parse_seeds(str(training.seeds))
    if training.recipe is not None:
        settings = config.read_recipe(training.recipe) | settings
    comparison = plan.plan(strategies, seeds, settings, Path(str(out)))
    launch.check(comparison)
    comparison.write()
    runs = plan.shard(comparison.runs(), number, shards)
    failures = launch.launch(runs, jobs, say)
    if shards > 1:
        say(f"shard {number} of {shards} is through; mpdviz compare --collect {out} brings all together")
    elif len(failures) < len(runs):
        _collect(comparison, format_)
    return 1 if failures else 0


def _collect(comparison: "Comparison", format_: str) -> None:
    from mpdviz.compare.collect import collect
    from mpdviz.system.files import make_folder

    collected = collect(comparison)
    for path in collected.write(make_folder(comparison.folder)):
        say(f"wrote {path}")
    if format_ == "table":
        print_accuracy(collected)
    else:
        ALL_FORMATS[format_](collected.summary())
    if collected.missing:
        say(
            f"missing, {len(collected.missing)} of {len(collected.runs)} runs: {', '.join(collected.missing)}"
        )
