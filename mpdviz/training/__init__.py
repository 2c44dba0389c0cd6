"""Training: settings in, a run folder out.

`train(strategy="fixed:kappa=2.5", epochs=2, out="runs/fixed")` is what `mpdviz train` does.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpdviz.config import RunConfig, check_code, read_recipe, validate
from mpdviz.errors import BadInput
from mpdviz.system.environment import call
from mpdviz.system.files import exists

if TYPE_CHECKING:
    from mpdviz.runs.state import Result, StepInfo
    from mpdviz.training.again import Rerun
    from mpdviz.training.run import Run

__all__ = ["command", "prepare", "rerun", "train"]


def train(
    *,
    out: str | Path | None = None,
    resume: bool = False,
    recipe: str | Path | None = None,
    on_step: "Callable[[StepInfo], object] | None" = None,
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
    **settings: Any,
) -> "Result":
    """Train a spiking network and leave a run folder (see `runs.folder` for what lies in it).

    Without settings: MPD-AGL on scikit-learn's handwritten digits. Ctrl-C finishes the step under way and
    saves. With `devices` of 2 or more, the program that calls this is started again for each other device.

    Args:
        out: the run folder; None takes runs/DATA-MODEL-STRATEGY-seedN.
        resume: continue the run in `out`, whose settings need not be repeated, but for a `model` of your own,
            since no file runs code; a fresh start where there is none, no work where it is finished.
        recipe: TOML file of settings, or a name among `config.recipes()`; `settings` override it.
        on_step: called after every training step.
        on_epoch: called after every epoch with its row of `metrics.csv`.
        settings: any of `config.RunConfig`, by name. `data` may also be data themselves: arrays, a torch data
            set, a Hugging Face one, or parts of them by name (see `data.given.dataset_of`); they are known by
            their hash, and have to be given again to resume or inspect the run.

    Returns:
        Folder, epoch and accuracies (fractions) of the epoch that was best on validation.

    Raises:
        BadInput: an unknown setting or one that contradicts the data, the devices or the run to be resumed;
            nothing has been written.
        Diverged: a loss or gradient that is not finite; the last good checkpoint stays.
        Interrupted: stopped by a signal, state saved.
    """
    given = {"out": out, "resume": resume or None, "recipe": recipe}
    told = call(
        "mpdviz.train", settings | {name: value for name, value in given.items() if value is not None}
    )
    run = prepare(settings, out=out, resume=resume, recipe=recipe, command=told)
    return run.fit(on_step=on_step, on_epoch=on_epoch)


def prepare(
    settings: dict[str, Any],
    *,
    out: str | Path | None = None,
    resume: bool = False,
    recipe: str | Path | None = None,
    command: str = "",
) -> "Run":
    """The run that `train` trains, checked and its folder made, for callers that want to know it first.

    Args:
        settings: by name, values as in RunConfig or as text.
        out: as of `train`, like the others.
        resume: continue the run in `out`.
        recipe: settings that `settings` override.
        command: what started it, to be noted in its folder; empty: the command line.

    Raises:
        BadInput: as of `train`.
    """
    named = [str(settings.get("model", ""))]
    if recipe is not None:
        of_file = read_recipe(Path(recipe))
        check_code(of_file, named, f"recipe {recipe}")
        settings = of_file | settings
    if resume:
        if out is None:
            raise BadInput("`resume` without `out`", "say which run folder to continue")
        if exists(Path(out) / "config.toml"):
            of_file = read_recipe(Path(out) / "config.toml")
            check_code(of_file, named, f"{out}/config.toml")
            settings = of_file | settings
    dataset = None
    if not isinstance(settings.get("data", ""), str):
        from mpdviz.data import obtain

        dataset = obtain(settings["data"], timesteps=settings.get("timesteps"))
        settings = settings | {"data": dataset.name}
    config = validate(settings, where=str(recipe or "settings"))
    from mpdviz.training.run import Run

    folder = Path(out) if out is not None else default_folder(config)
    return Run(config, folder, resume=resume, dataset=dataset, command=command)


def rerun(
    run: str | Path,
    out: str | Path | None = None,
    *,
    model: str | None = None,
    on_step: "Callable[[StepInfo], object] | None" = None,
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
) -> "Rerun":
    """Train a run again with the settings in its folder, into another one, and compare.

    Args:
        run: the run folder; it is only read.
        out: the new one; None adds `-rerun` to its name.
        model: `module:function` of a network of your own, where the run is of one: no file has code run.
        on_step: as of `train`.
        on_epoch: as of `train`.

    Returns:
        What was reached, what was not as it was then (versions, hardware, git) and how the runs compare.

    Raises:
        BadInput: no run folder, one without a finished epoch, data that were handed over by a program, or
            anything that `train` refuses.
    """
    from mpdviz.training.again import Again, Rerun

    given = {"run": run} if out is None else {"run": run, "out": out}
    told = call("mpdviz.training.rerun", given)
    again = Again(Path(run), None if out is None else Path(out), model=model, command=told)
    changed = again.changes() if again.run.team.leads else None
    result = again.run.fit(on_step=on_step, on_epoch=on_epoch)
    return Rerun(result, changed, again.compared() if again.run.team.leads else None)


def default_folder(config: RunConfig) -> Path:
    """A folder whose name tells one run from another: data, model, strategy, seed."""
    data = Path(config.data.removeprefix("npz:")).stem
    name = f"{data}-{config.model}-{config.strategy}-seed{config.seed}"
    return Path("runs") / re.sub(r"[^\w.=-]+", "-", name)


def command(config: RunConfig, out: Path) -> list[str]:
    """The words that train a run, or go on with it, in a process of its own."""
    settings = config.model_dump(mode="json", exclude_none=True)
    # -P: a file in the current folder is not to stand in for a library.
    return [sys.executable, "-P", "-m", "mpdviz.training", str(out), json.dumps(settings)]
