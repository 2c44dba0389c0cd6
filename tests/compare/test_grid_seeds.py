"""A grid that is tried at some of the seeds: what is trained, and which runs count."""

from collections import Counter
from itertools import product

import commands
import pytest
from networks import TRAINING

import mpdviz
from mpdviz.compare import plan
from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.studies import Arm, read_study, run_of_study

TINY = {name: value for name, value in TRAINING.items() if name != "strategy"} | {
    "model": "convsnn:encode_channels=4:planes=4-4",
    "epochs": 1,
}
ARMS = [Arm("a", {"strategy": "fixed"}), Arm("b", {"strategy": "mpd-agl"})]
GRID = {"lr": [0.001, 0.1]}
SEEDS = {"seeds": [0, 1, 2], "grid_seeds": [1]}


def finished(study, arm, point, seed, val_accuracy):
    """A run folder as far as a study's choice looks into it."""
    folder = RunFolder(run_of_study(study, arm, point, seed))
    folder.path.mkdir(parents=True)
    folder.result.write_text(f'{{"finished": true, "val_accuracy": {val_accuracy}}}')


def planned(out):
    return plan.plan(ARMS, SEEDS["seeds"], TINY, out, grid=GRID, grid_seeds=SEEDS["grid_seeds"])


def test_runs_of_the_other_seeds_wait_for_the_choice_of_their_arm(tmp_path):
    made = planned(tmp_path)
    assert [(run.arm, run.point["lr"], run.config.seed) for run in made.runs()] == [
        ("a", 0.001, 1), ("a", 0.1, 1), ("b", 0.001, 1), ("b", 0.1, 1)
    ]  # fmt: skip
    assert made.told() == "2 arms x 2 points of the grid x 1 seeds, then each arm's choice at 2 more: 8 runs"
    for lr, val_accuracy in ((0.001, 0.7), (0.1, 0.6)):
        finished(tmp_path, "a", {"lr": lr}, 1, val_accuracy)
    later = made.runs()[4:]
    assert [(run.arm, run.point["lr"], run.config.seed) for run in later] == [
        ("a", 0.001, 0),
        ("a", 0.001, 2),
    ]
    assert [slot.name for slot in made.slots() if isinstance(slot, plan.Undecided)] == [
        "b seed 0",
        "b seed 2",
    ]


def test_what_is_missing_is_counted_with_the_runs_that_wait_for_a_choice(tmp_path):
    planned(tmp_path).write()
    finished(tmp_path, "a", {"lr": 0.1}, 1, 0.5)
    done = commands.mpdviz("compare", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "missing, 7 of 8 runs: a, lr=0.001 seed 1, " in done.stderr.decode()


def test_a_run_stays_with_its_shard_as_arms_choose(tmp_path):
    made, owner = planned(tmp_path), {}
    for arm in ("", "a", "b"):
        for lr in GRID["lr"] if arm else ():
            finished(tmp_path, arm, {"lr": lr}, 1, lr)
        for number in (1, 2, 3):
            for run in plan.shard(made, number, 3):
                assert owner.setdefault(run.folder.path, number) == number
    assert len(owner) == 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grid_seeds": [0]}, "`grid_seeds` 0: there is no `grid`"),
        ({"grid": GRID, "grid_seeds": [0, 7]}, "`grid_seeds` 0,7: not all of them are in `seeds`"),
    ],
)
def test_seeds_that_make_no_sense_are_refused(tmp_path, options, words):
    with pytest.raises(BadInput, match=words):
        mpdviz.compare.study(ARMS, seeds=[0, 1], out=tmp_path / "study", **options, **TINY)
    assert not list(tmp_path.iterdir())


@pytest.mark.thorough
def test_each_arm_is_trained_at_its_choice_and_compared_at_every_seed(tmp_path):
    said = []
    out = tmp_path / "study"
    found = mpdviz.compare.study(ARMS, out=out, grid=GRID, jobs=2, on_event=said.append, **SEEDS, **TINY)
    counted = Counter(zip(found.runs["arm"], found.runs["seed"], strict=True))
    assert counted == {(arm, seed): 2 if seed == 1 else 1 for arm, seed in product("ab", range(3))}
    assert found.runs["finished"].all()
    assert found.missing == ()
    for arm, rows in found.runs.groupby("arm"):
        tried = rows[rows["seed"] == 1]
        best = tried.loc[tried["val_accuracy"].idxmax(), "point"]
        assert set(rows.loc[rows["seed"] != 1, "point"]) == {best}
        own = rows[rows["chosen"]].set_index("seed")["test_accuracy"]
        row = found.accuracy.set_index("arm").loc[arm]
        assert (row["n"], row["mean"]) == (3, pytest.approx(own.mean()))
    assert "4 runs at what the arms chose from the grid" in said
    assert read_study(out).grid_seeds == (1,)
    again = mpdviz.compare.study(ARMS, out=out, grid=GRID, on_event=said.append, **SEEDS, **TINY)
    assert again.accuracy.equals(found.accuracy)
    assert said[-1] == "8 of 8 runs are finished already"
    with pytest.raises(BadInput, match="other settings: grid_seeds"):
        mpdviz.compare.study(ARMS, seeds=[0], grid_seeds=[0], out=out, grid=GRID, **TINY)
