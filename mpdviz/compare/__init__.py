"""Many runs or checkpoints side by side: plan, train, collect, paired statistics, cross what-if."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpdviz.config import check_code, read_recipe
from mpdviz.errors import BadInput
from mpdviz.runs.reading import is_finished

if TYPE_CHECKING:
    from mpdviz.compare.executors import Executor
    from mpdviz.compare.results import Collected
    from mpdviz.compare.side_by_side import Sides
    from mpdviz.runs.studies import Arm

__all__ = ["checkpoints", "collect", "strategies", "study"]


def strategies(names: Sequence[str], **options: Any) -> "Collected":
    """Train every strategy at every seed: `study` with an arm for each strategy.

    Args:
        names: strategies like `fixed:kappa=2.5` or `mpd-agl:shape=triangular`; the first is the reference.
        options: of `study`.
    """
    from mpdviz.compare import arms

    return study(arms.of_strategies(names), **options)


def study(
    arms: "Sequence[Arm]",
    *,
    seeds: Sequence[int],
    out: str | Path,
    grid: Mapping[str, Sequence[Any]] | None = None,
    grid_seeds: Sequence[int] = (),
    reference: str | None = None,
    jobs: int | None = None,
    shard: tuple[int, int] | None = None,
    executor: "str | Executor" = "local",
    on_event: Callable[[str], object] = print,
    recipe: str | Path | None = None,
    **settings: Any,
) -> "Collected":
    """Train every arm at every seed, from equal initial weights where shapes allow, in the same data order.

    Each run has a run folder under `out`. Finished runs are left alone and interrupted ones continued, and
    arms and seeds may join a study that is there already.

    Args:
        arms: names and settings, of `arms.of_strategies`, `arms.crossed` or `arms.read`, or made by hand.
        seeds: of every arm.
        out: the study's folder, created where needed.
        grid: values by setting. Every arm is trained at every combination of them, and the one with the
            highest mean validation accuracy over seeds is the arm's own; its test accuracies are compared.
        grid_seeds: some of the seeds. The grid is tried at these alone, and each arm's own choice is then
            trained at the others too; none: the grid is tried at all.
        reference: the arm that the others are compared with; None: the first.
        jobs: runs side by side at most; None: one, or as many as a cluster has room for. Results depend on
            it in their last bits, as it shares out the cores.
        shard: only every n-th run, from the m-th on: `(m, n)`, for one machine of n.
        executor: where the runs are trained, an object or its string, as of `executors.get`; one that does
            not wait, `slurm`, leaves the runs missing here: `collect` reads them later.
        on_event: called with a line before anything starts, and whenever a run starts, ends or is skipped.
        recipe: TOML file of settings, or a name among `config.recipes()`; `settings` override it.
        settings: of every run, any of `config.RunConfig` but the seed.

    Returns:
        Runs, accuracies, paired differences, and which runs are missing or failed.

    Raises:
        BadInput: an unknown strategy or setting, something that would stop every run, or `out` holds anything
            but a study with these settings.
        Interrupted: stopped by a signal; the runs under way have saved their state.
    """
    from mpdviz.compare import plan
    from mpdviz.compare.executors import get
    from mpdviz.compare.results import read_results

    number, shards = shard or (1, 1)
    if jobs is not None and jobs < 1:
        raise BadInput(f"`jobs` {jobs}", "give at least 1")
    if not 1 <= number <= shards:
        raise BadInput(f"`shard` {number} of {shards}", "give which of how many, like (2, 8)")
    train = get(executor) if isinstance(executor, str) else executor
    recipe_settings = {} if recipe is None else read_recipe(Path(recipe))
    named = [str(given.get("model", "")) for given in (settings, *(arm.settings for arm in arms))]
    check_code(recipe_settings, named, f"recipe {recipe}")
    comparison = plan.plan(
        arms,
        seeds,
        recipe_settings | settings,
        Path(out),
        grid=grid,
        grid_seeds=grid_seeds,
        reference=reference,
    )
    for arm in comparison.plan.arms:  # some may be of the study that is there already
        check_code({**comparison.plan.settings, **arm.settings}, named, f"{out}/comparison.toml")
    runs = plan.shard(comparison, number, shards)
    train.require(runs)
    plan.check(comparison, here=train.here)
    comparison.write()
    if grid:
        on_event(comparison.told())
    waiting = [run for run in runs if not is_finished(run.folder)]
    if len(waiting) < len(runs):
        on_event(f"{len(runs) - len(waiting)} of {len(runs)} runs are finished already")
    failures = train.run(waiting, jobs, on_event)
    if train.waits:  # arms may have chosen from the grid meanwhile
        tried = {run.folder.path for run in runs}
        more = [run for run in plan.shard(comparison, number, shards) if run.folder.path not in tried]
        if left := [run for run in more if not is_finished(run.folder)]:
            on_event(f"{len(left)} runs at what the arms chose from the grid")
            failures = [*failures, *train.run(left, jobs, on_event)]
    return read_results(comparison, failures)


def collect(folder: str | Path, reference: str | None = None) -> "Collected":
    """Read the results of every run of a study.

    Args:
        folder: the study's.
        reference: the arm to compare with; None: the study's own.

    Raises:
        BadInput: `folder` holds no study or no finished run, a run was made with other settings than its
            arm's (data, T, ...), or runs of one seed that should have started from the same weights did not.
    """
    from mpdviz.compare import plan
    from mpdviz.compare.results import read_results

    collected = read_results(plan.read(Path(folder), reference))
    if not collected.any_finished:
        raise BadInput(f"{folder} holds no finished run", "compare the same `strategies` again to train them")
    return collected


def checkpoints(
    paths: Sequence[str | Path], *, ready: Callable[[], object] | None = None, **options: Any
) -> "Sides | None":
    """Record checkpoints over the same data, and lay their layers side by side.

    Args:
        paths: two or more checkpoints or run folders, or recordings (.npz) made over the same data and with
            the widths of the others as what-ifs; the first is the one to compare with.
        ready: called before each recording, once everything about it is known to fit.
        options: of `mpdviz.inspect`: which data (`data`, `split`, `limit`, ...), what a released file does
            not say (`strategy`, `decay`, ...), and how (`batch_size`, `mode`, `device`, `backend`).

    Returns:
        Tables, and the recordings they are of; None for a process that does not lead under torchrun.

    Raises:
        BadInput: fewer than two, networks of other layers, T, channels, classes or data, or anything that
            `mpdviz.inspect` refuses.
    """
    from mpdviz.compare.side_by_side import side_by_side

    return side_by_side([Path(path) for path in paths], ready, options)
