"""`mpdviz train`: train a network and leave a run folder."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import console, say
from .settings import takes_settings

if TYPE_CHECKING:
    from mpdviz.config import RunConfig

HELP = """Train a spiking network and leave a run folder (config, metrics, widths, checkpoints).

Without options: MPD-AGL on scikit-learn's handwritten digits, about a quarter of a minute on two cores.
Ctrl-C finishes the step under way and saves; --resume goes on from there."""


@takes_settings
def train(
    settings: dict[str, Any],
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of settings, or a name from `mpdviz list recipes`; options override it",
            metavar="FILE",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="run folder (default: runs/DATA-MODEL-STRATEGY-seedN)", metavar="DIR")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="continue the run in --out; its settings need not be repeated")
    ] = False,
) -> None:
    """Validate everything, then train."""
    from mpdviz import config as configuration
    from mpdviz.errors import BadInput
    from mpdviz.system.files import exists

    if recipe is not None:
        settings = configuration.read_recipe(recipe) | settings
    if resume:
        if out is None:
            raise BadInput("--resume without --out", "say which run folder to continue")
        if exists(out / "config.toml"):
            settings = configuration.read_recipe(out / "config.toml") | settings
    config = configuration.validate(settings, where=str(recipe or "settings"))
    _fit(config, out or Path("runs") / default_name(config), resume=resume)


def default_name(config: "RunConfig") -> str:
    """A folder name that tells one run from another: data, model, strategy, seed."""
    data = Path(config.data.removeprefix("npz:")).stem
    name = f"{data}-{config.model}-{config.strategy}-seed{config.seed}"
    return re.sub(r"[^\w.=-]+", "-", name)


def _fit(config: "RunConfig", out: Path, *, resume: bool) -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from mpdviz.runs import state as runstate
    from mpdviz.training import run as training

    run = training.Run(config, out, resume=resume)
    leads = run.team.leads
    terminal = console(stderr=True)
    progress = Progress(
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.2%}"),
        TextColumn("{task.fields[speed]:.0f} images/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=terminal,
        transient=True,
        disable=not (leads and terminal.is_terminal),
    )
    task = progress.add_task(
        "training", total=None, epoch=0, epochs=config.epochs, loss=float("nan"), accuracy=0.0, speed=0.0
    )

    def on_step(now: runstate.Progress) -> None:
        progress.update(
            task,
            total=now.epochs * now.steps,
            completed=(now.epoch - 1) * now.steps + now.step,
            epoch=now.epoch,
            loss=now.loss,
            accuracy=now.accuracy,
            speed=now.images_per_second,
        )

    def on_epoch(row: dict[str, Any]) -> None:
        if not leads:
            return
        terminal.print(
            f"epoch {row['epoch']:3d}  training {row['train_loss']:.4f}, {row['train_accuracy']:.2%}  "
            f"validation {row['val_loss']:.4f}, {row['val_accuracy']:.2%}  {row['seconds']:.1f} s"
        )

    task_line = f"{config.model}, {config.strategy}, T={config.timesteps}, {config.data}, seed {config.seed}"
    if leads:
        say(f"{task_line} -> {out}")
    with progress:
        result = run.fit(on_step=on_step, on_epoch=on_epoch)
    if leads:
        print(
            f"{run.folder.best}: test accuracy {result.test_accuracy:.2%}, validation "
            f"{result.val_accuracy:.2%} (best epoch {result.epoch} of {config.epochs}, seed {config.seed})"
        )
