"""Arms of a study: how they are written, what is refused, what each chooses from a grid, how runs start."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from networks import TRAINING

import mpdviz.compare
from mpdviz.compare import arms
from mpdviz.errors import BadInput
from mpdviz.runs.studies import Arm, arms_of, read_study, run_folders, run_of_study

TINY = {name: value for name, value in TRAINING.items() if name != "strategy"} | {
    "model": "convsnn:encode_channels=4:planes=4-4",
    "epochs": 1,
}


def names(found):
    return [arm.name for arm in found]


def test_values_are_crossed_the_last_changing_fastest():
    found = arms.crossed({"decay": ["0.2", "0.9"], "strategy": ["fixed:shape=atan", "mpd-agl"]})
    assert names(found) == [
        "fixed:shape=atan, decay=0.2",
        "mpd-agl, decay=0.2",
        "fixed:shape=atan, decay=0.9",
        "mpd-agl, decay=0.9",
    ]
    assert found[2].settings == {"decay": 0.9, "strategy": "fixed:shape=atan"}


def test_arms_are_read_from_a_file(tmp_path):
    file = tmp_path / "arms.toml"
    file.write_text(
        '[settings]\nepochs = 3\n[[arms]]\nname = "control"\n'
        '[[arms]]\nname = "wide"\nstrategy = "fixed:kappa=2.5"\nlr = 0.03\n'
    )
    found, shared = arms.read(file)
    assert shared == {"epochs": 3}
    assert found == [Arm("control", {}), Arm("wide", {"strategy": "fixed:kappa=2.5", "lr": 0.03})]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no arms in it"),
        ("arms = 3", "no arms in it"),
        ("[[arms]]\nlr = 1\n", "arm 1 has no name"),
        ('[[arm]]\nname = "a"\n', "unknown table in arms .* 'arm'; did you mean 'arms'"),
        ("[[arms", "cannot read arms|arms .* is no TOML|TOML"),
    ],
)
def test_files_without_arms_are_refused(tmp_path, content, words):
    file = tmp_path / "arms.toml"
    file.write_text(content)
    with pytest.raises(BadInput, match=words):
        arms.read(file)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "no arms"),
        ([Arm("a", {}), Arm("A", {})], "'a' and 'A' have one name"),
        ([Arm("a b", {}), Arm("a-b", {})], "one name, or one folder"),
        ([Arm("a", {"data": "cifar10"})], "`data` is the same for all arms"),
        ([Arm("a", {"seed": 3})], "`seed` is the same for all arms"),
        ([Arm("a", {"device": "cpu"})], "`device` makes no difference"),
        ([Arm("a", {"decai": 0.3})], "did you mean 'decay'"),
        ([Arm("a", {"decay": 3})], "arm 'a': decay=3"),
    ],
)
def test_what_is_no_arm_is_refused(tmp_path, given, words):
    with pytest.raises(BadInput, match=words):
        mpdviz.compare.study(given, seeds=[0], out=tmp_path / "study", **TINY)
    assert not list(tmp_path.iterdir())


def test_no_name_of_an_arm_leads_out_of_the_study(tmp_path):
    names = ["..", ".hidden", "../x", "/etc", "a/../../b"]
    found = [run_of_study(tmp_path, name, {}, 0) for name in names]
    for folder in found:
        assert folder.resolve().parents[1] == (tmp_path / "runs").resolve()
        assert not folder.parent.name.startswith(".")
    with pytest.raises(BadInput, match="have one name, or one folder"):
        arms.check([Arm(".", {}), Arm("..", {})], {})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grid": {"decay": [0.1, 0.2]}}, "`decay` in a grid, and in arm 'b'"),
        ({"grid": {"strategy": ["fixed"]}}, "`strategy` in a grid"),
        ({"grid": {"lr": [0.1, 0.1]}}, "`lr` is varied over one value twice"),
        ({"reference": "c"}, "unknown reference 'c'"),
    ],
)
def test_what_is_no_grid_or_reference_is_refused(tmp_path, options, words):
    sides = [Arm("a", {}), Arm("b", {"decay": 0.5})]
    with pytest.raises(BadInput, match=words):
        mpdviz.compare.study(sides, seeds=[0], out=tmp_path / "study", **options, **TINY)
    assert not list(tmp_path.iterdir())


SIDES = [
    Arm("control", {"strategy": "fixed"}),
    Arm("same", {"strategy": "fixed"}),
    Arm("low, gamma", {"strategy": "fixed", "gamma": 0.25}),
]
GRID = {"lr": [0.001, 0.1]}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    out = tmp_path_factory.mktemp("arms") / "study"
    said = []
    found = mpdviz.compare.study(
        SIDES, seeds=[0, 1], out=out, grid=GRID, jobs=2, on_event=said.append, **TINY
    )
    return found, said


@pytest.mark.thorough
def test_the_cost_of_a_grid_is_said_before_anything_starts(searched):
    assert searched[1][0] == "3 arms x 2 points of the grid x 2 seeds: 12 runs"
    assert len(searched[0].runs) == 12


@pytest.mark.thorough
def test_arms_that_differ_in_nothing_differ_by_exactly_nothing(searched):
    apart = searched[0].differences.set_index("arm")
    assert apart.loc["same", "difference"] == 0
    assert apart.loc["same", "std"] == 0
    assert apart.loc["same", "sentence"].startswith("same equals control at every one of 2 seeds")
    assert np.isnan(apart.loc["same", "p"])


@pytest.mark.thorough
def test_each_arm_takes_its_own_best_on_validation(searched):
    runs, accuracy = searched[0].runs, searched[0].accuracy.set_index("arm")
    for arm in names(SIDES):
        own = runs[runs["arm"] == arm]
        means = own.groupby("point", sort=False)["val_accuracy"].mean()
        best = means.idxmax()
        assert accuracy.loc[arm, "chosen"] == best
        assert set(own.loc[own["chosen"], "point"]) == {best}
        tested = own.loc[own["point"] == best, "test_accuracy"]
        assert accuracy.loc[arm, "mean"] == pytest.approx(tested.mean())
        assert accuracy.loc[arm, "n"] == 2


@pytest.mark.thorough
def test_the_available_share_is_that_of_the_last_recording(searched):
    found = searched[0]
    own = found.runs[(found.runs["arm"] == "control") & found.runs["chosen"]]
    tables = [pd.read_csv(found.folder / place / "mpd.csv") for place in own["folder"]]
    last = [table[table["epoch"] == table["epoch"].max()]["available_ratio"] for table in tables]
    row = found.accuracy.set_index("arm").loc["control"]
    assert row["available"] == pytest.approx(np.mean([share.mean() for share in last]))
    assert row["available_std"] == pytest.approx(np.std([share.mean() for share in last], ddof=1))
    assert row["lowest"] == pytest.approx(min(share.min() for share in last))


@pytest.mark.thorough
def test_equal_starts_are_proven_and_others_said(searched):
    """A low gamma is set, not drawn: the drawn weights stay the same."""
    runs = searched[0].runs
    for _, group in runs.groupby("seed"):
        assert group["drawn_weights"].nunique() == 1
        assert group["initial_weights"].nunique() == 2
    assert "same drawn weights, by hash" in searched[0].weights


@pytest.mark.thorough
def test_another_reference_turns_the_sign(searched):
    turned = mpdviz.compare.collect(searched[0].folder, reference="low, gamma").differences.set_index("arm")
    straight = searched[0].differences.set_index("arm")
    assert turned.loc["control", "difference"] == -straight.loc["low, gamma", "difference"]
    with pytest.raises(BadInput, match="unknown reference 'lo'"):
        mpdviz.compare.collect(searched[0].folder, reference="lo")


@pytest.mark.thorough
def test_figures_and_other_commands_take_the_chosen_runs_by_their_arms(searched):
    folders = run_folders(searched[0].folder)
    assert len(folders) == 6
    found = searched[0].plot("curves")
    labels = {text.get_text() for legend in found.legends for text in legend.get_texts()}
    assert {"control", "same"} <= labels


@pytest.mark.thorough
def test_more_arms_and_seeds_join_but_no_other_grid(searched):
    found = searched[0]
    before = read_study(found.folder)
    with pytest.raises(BadInput, match="holds a comparison with other settings: grid"):
        mpdviz.compare.study(SIDES, seeds=[0], out=found.folder, grid={"lr": [0.1]}, **TINY)
    with pytest.raises(BadInput, match="other settings: arm 'same'"):
        mpdviz.compare.study([Arm("same", {"decay": 0.9})], seeds=[0], out=found.folder, grid=GRID, **TINY)
    assert read_study(found.folder) == before


@pytest.mark.thorough
def test_what_the_weights_do_not_depend_on_is_no_other_start(tmp_path):
    """A T that no weight knows, proven by the hashes; figures show what such arms have in common."""
    sides = [Arm("short", {"timesteps": 1}), Arm("long", {"timesteps": 3})]
    found = mpdviz.compare.study(sides, seeds=[0, 1], out=tmp_path / "s", on_event=lambda _: None, **TINY)
    assert found.runs.groupby("seed")["initial_weights"].nunique().eq(1).all()
    assert found.weights.startswith("Runs of a seed start from the same weights, by hash, and see")
    labels = {text.get_text() for text in found.plot("differences").axes[0].get_yticklabels()}
    assert labels == {"long"}
    with pytest.raises(BadInput, match="other layers or timesteps in short, seed 0, than in long"):
        found.plot("available_ratio")


@pytest.mark.thorough
def test_figures_compare_with_the_reference_of_the_study(searched, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(searched[0].folder, folder)
    text = (folder / "comparison.toml").read_text()
    (folder / "comparison.toml").write_text(text.replace('reference = "control"', 'reference = "low, gamma"'))
    assert read_study(folder).reference == "low, gamma"
    assert arms_of(run_folders(folder)[:3]) == ["low, gamma", "control", "same"]


@pytest.mark.thorough
def test_arms_of_other_sizes_are_said_to_start_apart(tmp_path):
    sides = [Arm("small", {}), Arm("wide", {"model": "convsnn:encode_channels=4:planes=6-6"})]
    found = mpdviz.compare.study(sides, seeds=[0], out=tmp_path / "s", on_event=lambda _: None, **TINY)
    assert "within these groups of arms alone: small; wide" in found.weights


@pytest.mark.thorough
def test_the_command_takes_what_is_varied(tmp_path):
    words = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    command = [sys.executable, "-m", "mpdviz", "compare", "--vary", "decay=0.2,0.9", "--seeds", "0", *words]
    command += ["--out", str(tmp_path / "study")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "decay=0.9 " in done.stdout
    refused = subprocess.run([*command, "--strategies", "fixed"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--strategies with --vary" in refused.stderr
