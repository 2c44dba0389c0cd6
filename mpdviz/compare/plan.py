"""Which runs a study is made of: every arm at every seed, all else alike; and its folder.

Beside what `runs.studies` says of it, the folder holds

logs/ARM-seed-N.log   what the run said
runs.csv, accuracy.csv, differences.csv    what came out, see `results`
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
import torch

from mpdviz import data
from mpdviz.compare import arms as arms_of
from mpdviz.config import RunConfig, differences, validate
from mpdviz.errors import BadInput, unknown_name
from mpdviz.runs.folder import RunFolder, slug
from mpdviz.runs.studies import Arm, StudyPlan, chosen, point_name, read_study, run_of_study
from mpdviz.system.devices import pick_device
from mpdviz.system.files import exists, make_folder, write_text
from mpdviz.system.places import COMPARISON
from mpdviz.training.fresh import fresh_network, trainable
from mpdviz.training.objective import Objective
from mpdviz.training.sinks import required

Item = TypeVar("Item")


@dataclass(frozen=True)
class Planned:
    """One run of a study."""

    arm: str
    point: Mapping[str, Any]
    """Of the grid; empty where there is none."""
    config: RunConfig
    folder: RunFolder
    log: Path
    study: Path
    """The study's folder."""

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{', '.join([self.arm, *filter(None, [point_name(self.point)])])} seed {self.config.seed}"


@dataclass(frozen=True)
class Undecided:
    """A run of an arm that has not chosen from the grid yet."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.arm} seed {self.seed}"


@dataclass(frozen=True)
class Comparison:
    """A study and where it lies."""

    folder: Path
    plan: StudyPlan

    def runs(self) -> list[Planned]:
        """The runs that are known: of seeds that the grid is not tried at, those of arms that have chosen."""
        return [run for run in self.slots() if isinstance(run, Planned)]

    def slots(self) -> "list[Planned | Undecided]":
        """Every arm at the first seed, then at the next: cut short, it still holds whole pairs.

        First come the seeds at which the grid is tried, then the others, each arm at the point of its choice.
        """
        choosing, choice = self.plan.choosing_seeds(), chosen(self.folder, self.plan)
        slots: list[Planned | Undecided] = [
            self._run(arm, point, seed)
            for seed in choosing
            for arm in self.plan.arms
            for point in self.plan.points()
        ]
        for seed in self.plan.seeds:
            if seed not in choosing:
                for arm in self.plan.arms:
                    point = choice[arm.name]
                    slots.append(
                        self._run(arm, point, seed) if point is not None else Undecided(arm.name, seed)
                    )
        return slots

    def told(self) -> str:
        """How many runs a study with a grid is made of."""
        plan = self.plan
        arms, points, seeds = len(plan.arms), len(plan.points()), len(plan.choosing_seeds())
        more = len(plan.seeds) - seeds
        others = f", then each arm's choice at {more} more" if more else ""
        runs = arms * (points * seeds + more)
        return f"{arms} arms x {points} points of the grid x {seeds} seeds{others}: {runs} runs"

    def _run(self, arm: Arm, point: Mapping[str, Any], seed: int) -> Planned:
        config = validate({**self.plan.settings, **arm.settings, **point, "seed": seed}, f"arm {arm.name!r}")
        folder = RunFolder(run_of_study(self.folder, arm.name, point, seed))
        words = [slug(word) for word in (arm.name, point_name(point)) if word]
        log = self.folder / "logs" / f"{'-'.join(words)}-seed-{seed}.log"
        return Planned(arm.name, point, config, folder, log, self.folder)

    def write(self) -> None:
        """Keep the study in its folder."""
        make_folder(self.folder)
        plan = self.plan
        content: dict[str, Any] = {"seeds": list(plan.seeds), "reference": plan.reference}
        content |= {"settings": _toml(plan.settings), "grid": dict(plan.grid)}
        content |= {"grid_seeds": list(plan.grid_seeds)} if plan.grid_seeds else {}
        content["arms"] = [{"name": arm.name, "settings": _toml(arm.settings)} for arm in plan.arms]
        write_text(self.folder / COMPARISON, tomli_w.dumps(content))


def plan(
    arms: Sequence[Arm],
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    out: Path,
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    grid_seeds: Sequence[int] = (),
    reference: str | None = None,
) -> Comparison:
    """The study of these arms in `out`; one that is there already is extended.

    Args:
        arms: in order; the first is the reference where none is named.
        seeds: of every arm.
        settings: of every run, not validated yet.
        out: the study's folder; nothing is written.
        grid: values by setting of which every arm chooses its own on validation.
        grid_seeds: the seeds at which the grid is tried; none: all.
        reference: the arm to compare with.

    Raises:
        BadInput: an unknown setting or one that cannot be an arm's, or `out` holds anything but a study with
            these settings.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        told_seeds = ",".join(map(str, seeds))
        raise BadInput(f"`seeds` {told_seeds!r} names one twice or none", "name each once")
    for name in ("seed", *(["strategy"] if all("strategy" in arm.settings for arm in arms) else [])):
        if name in settings:
            raise BadInput(f"`{name}` in a comparison", "leave it out; give `strategies` and `seeds`")
    config = validate(dict(settings))
    shared = _shared(config, settings)
    checked = arms_of.check(arms, shared)
    values = arms_of.check_grid(grid or {}, checked)
    if grid_seeds and not (values and set(grid_seeds) <= set(seeds)):
        raise BadInput(
            f"`grid_seeds` {','.join(map(str, grid_seeds))}: "
            + ("not all of them are in `seeds`" if values else "there is no `grid`"),
            "name some of the seeds" if values else "give a grid too, or leave it out",
        )
    named, reference = reference is not None, _reference(reference, checked)
    found = StudyPlan(tuple(checked), tuple(seeds), shared, values, tuple(grid_seeds), reference)
    if not exists(out):
        return Comparison(out, found)
    if not exists(out / COMPARISON):
        if not out.is_dir() or any(out.iterdir()):
            raise BadInput(f"{out} holds something that is no comparison", "choose another `out`")
        return Comparison(out, found)
    return Comparison(out, _joined(read_study(out), found, out, named=named))


def _joined(before: StudyPlan, now: StudyPlan, out: Path, *, named: bool) -> StudyPlan:
    """What is there, with what joins it."""
    changed = differences(validate(dict(before.settings)), validate(dict(now.settings)), but=("seed",))
    if not changed and before.grid != now.grid:
        changed = {"grid": (dict(before.grid), dict(now.grid))}
    if not changed and before.grid_seeds != now.grid_seeds:
        changed = {"grid_seeds": (list(before.grid_seeds) or "all", list(now.grid_seeds) or "all")}
    known = {arm.name: arm for arm in before.arms}
    for arm in now.arms:
        if not changed and arm.name in known and known[arm.name].settings != arm.settings:
            changed = {f"arm {arm.name!r}": (dict(known[arm.name].settings), dict(arm.settings))}
    if changed:
        raise BadInput(
            f"{out} holds a comparison with other settings: {told(changed)}",
            "give the same settings, or choose another `out`",
        )
    # Joining others, arms go behind: what is compared with stays, unless the whole list is given anew.
    own = {arm.name: arm for arm in now.arms}
    anew = set(known) <= set(own)
    every = own if anew else known | own
    reference = now.reference if named or anew else before.reference
    return replace(
        now, arms=tuple(every.values()), seeds=_union(before.seeds, now.seeds), reference=reference
    )


def read(folder: Path, reference: str | None = None) -> Comparison:
    """The study that a folder holds, with another arm to compare with where one is named.

    Raises:
        BadInput: it holds none, its file is damaged, or it has no such arm.
    """
    stored = read_study(folder)
    if reference is not None:
        stored = replace(stored, reference=_reference(reference, stored.arms))
    return Comparison(folder, stored)


def told(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Settings that differ, as of `config.differences`, in words."""
    return ", ".join(f"{name} {one} and {other}" for name, (one, other) in changed.items())


def check(comparison: Comparison, *, here: bool = True) -> None:
    """Find out before anything is started whether the runs can be: data, sizes, device, network, log.

    Args:
        comparison: what is to be started.
        here: whether on this machine; elsewhere its devices do not count.

    Raises:
        BadInput: whatever would stop every run of an arm.
    """
    first_seed = comparison.plan.choosing_seeds()[0]
    configs = [run.config for run in comparison.runs() if run.config.seed == first_seed]
    first = configs[0]
    required(first.log)
    if here:
        pick_device(first.device)
    for timesteps in dict.fromkeys(config.timesteps for config in configs):
        dataset = data.load(first.data, timesteps=timesteps, data_dir=first.data_dir)
        dataset = trainable(dataset, first.model_copy(update={"timesteps": timesteps}))
        for config in configs:
            if config.timesteps == timesteps:
                Objective(config).check(fresh_network(config, dataset, torch.device("cpu")))


def shard(comparison: Comparison, number: int, shards: int) -> list[Planned]:
    """Every `shards`-th run, from the `number`-th (from 1) on, of those that are known."""
    # By slots: which runs are whose must not change as arms come to choose.
    return [run for run in comparison.slots()[number - 1 :: shards] if isinstance(run, Planned)]


def _reference(name: str | None, arms: Sequence[Arm]) -> str:
    names = [arm.name for arm in arms]
    if name is not None and name not in names:
        raise unknown_name("reference", name, names)
    return name or names[0]


def _shared(config: RunConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """What all runs have, without what an arm's own model or optimizer brings along unless it is given."""
    settings: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    left = {"seed", *({"lr", "strategy"} - given.keys())}
    return {name: value for name, value in settings.items() if name not in left}


def _toml(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None, which TOML does not know."""
    return {name: value for name, value in settings.items() if value is not None}


def _union(first: Iterable[Item], then: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys([*first, *then]))
