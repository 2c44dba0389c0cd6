"""`mpdviz compare`: paired statistics against tables, runs that continue, checkpoints against `inspect`."""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mpdviz.cli.entry import run as command_line
from mpdviz.cli.values import parse_seeds, parse_shard
from networks import TRAINING

import mpdviz.compare
from mpdviz import checkpoint, data
from mpdviz.analysis import paired
from mpdviz.compare import arms, plan
from mpdviz.compare.executors import get
from mpdviz.compare.executors.process import threads_for
from mpdviz.errors import BadInput
from mpdviz.figures.compared import compared, numbers
from mpdviz.runs.reading import is_finished

SAMPLES = Path(__file__).parents[2] / "sample_checkpoints"
FIXED, ADAPTIVE = SAMPLES / "fixed.pt", SAMPLES / "mpd_agl.pt"
TINY = TRAINING | {"epochs": 2}
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]


def mpdviz_cli(*words, cwd=None, monkeypatch=None):
    """Exit code of a command run in this process."""
    monkeypatch.setattr(sys, "argv", ["mpdviz", *map(str, words)])
    if cwd is not None:
        monkeypatch.chdir(cwd)
    with pytest.raises(SystemExit) as ended:
        command_line()
    return ended.value.code


# Statistics ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.70620), (3, 4.30265), (5, 2.77645), (30, 2.04523)])
def test_interval_is_student_s_of_the_differences(n, quantile):
    """The quantiles t(0.975, n - 1) are those of printed tables."""
    rng = np.random.default_rng(n)
    ours, theirs = rng.normal(0.9, 0.02, n), rng.normal(0.88, 0.02, n)
    found = paired.compare(dict(enumerate(ours)), dict(enumerate(theirs)))
    half = quantile * (ours - theirs).std(ddof=1) / math.sqrt(n)
    ends = (ours - theirs).mean() - half, (ours - theirs).mean() + half
    assert (found.low, found.high) == pytest.approx(ends, rel=1e-4)
    assert found.mean == pytest.approx((ours - theirs).mean())
    assert found.std == pytest.approx((ours - theirs).std(ddof=1))


def test_only_seeds_of_both_are_paired():
    found = paired.compare({0: 0.5, 1: 0.7, 3: 0.9}, {0: 0.4, 3: 0.5, 2: 0.1})
    assert found.seeds == (0, 3)
    assert found.mean == pytest.approx(0.25)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for draw in rng.normal(0.01, 0.02, (4000, 4)):
        found = paired.compare(dict(enumerate(draw)), dict.fromkeys(range(4), 0.0))
        inside += found.low <= 0.01 <= found.high
    assert inside / 4000 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ([0.9, 0.91, 0.92], [0.8, 0.82, 0.83], "a is 9.3 points above b (95 % CI 7.9 to 10.8, n=3 seeds)"),
        ([0.8, 0.82, 0.83], [0.9, 0.91, 0.92], "a is 9.3 points below b (95 % CI -10.8 to -7.9, n=3 seeds)"),
        ([0.9, 0.8], [0.8, 0.9], "no difference between a and b can be told (95 % CI -127.1 to 127.1, n=2"),
        ([0.9], [0.8], "a is 10.0 points above b at seed 0; no interval can be given for one seed"),
        ([0.9, 0.9], [0.8, 0.8], "a is 10.0 points above b at every one of 2 seeds; no interval can be"),
        ([0.9, 0.9], [0.9, 0.9], "a equals b at every one of 2 seeds; no interval"),
        ([], [0.9], "a and b have no finished seed in common"),
    ],
)
def test_the_sentence_claims_no_more_than_the_interval(ours, theirs, words):
    difference = paired.compare(dict(enumerate(ours)), dict(enumerate(theirs)))
    assert paired.sentence("a", "b", difference).startswith(words)


def test_an_interval_that_excludes_zero_never_looks_as_if_it_did_not():
    difference = paired.Difference((0, 1, 2), 0.002, 0.001, 0.0001, 0.0039)
    assert "0.01 to 0.39" in paired.sentence("a", "b", difference)


# The plan -----------------------------------------------------------------------------------------------


def test_seeds_and_shards_are_read_and_runs_divided():
    assert parse_seeds("0-3,7") == (0, 1, 2, 3, 7)
    assert parse_shard("2/8") == (2, 8)
    made = plan.plan(arms.of_strategies(["fixed", "mpd-agl"]), [0, 1, 2], TINY, Path("nowhere"))
    runs = made.runs()
    assert [run.name for run in runs[:3]] == ["fixed seed 0", "mpd-agl seed 0", "fixed seed 1"]
    shards = [plan.shard(made, number, 4) for number in (1, 2, 3, 4)]
    assert sorted(run.name for part in shards for run in part) == sorted(run.name for run in runs)
    assert len({run.folder.path for run in runs}) == len(runs)


@pytest.mark.parametrize("text", ["", "a", "3-1", "0--1", "-1", "1.5", "0-99999999999", "٣"])
def test_bad_seeds_are_refused(text):
    with pytest.raises(BadInput, match="--seeds"):
        parse_seeds(text)


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "1", "1/0", "a/b"])
def test_bad_shards_are_refused(text):
    with pytest.raises(BadInput, match="--shard"):
        parse_shard(text)


# Runs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two strategies at two seeds, trained through the command line, two at a time."""
    folder = tmp_path_factory.mktemp("compare") / "study"
    wanted = [
        "--strategies",
        "fixed:kappa=0.5,mpd-agl",
        "--seeds",
        "0-1",
        "--jobs",
        "2",
        "--out",
        str(folder),
    ]
    done = compare(*wanted, *OPTIONS)
    assert done.returncode == 0, done.stderr
    return folder, wanted, done


def compare(*words, **options):
    command = [sys.executable, "-m", "mpdviz.cli", "compare", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def copied(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "study")
    return tmp_path / "study"


@pytest.mark.thorough
def test_tables_are_what_the_run_folders_say(trained):
    folder, _, done = trained
    runs = pd.read_csv(folder / "runs.csv")
    assert len(runs) == 4
    for row in runs.itertuples():
        result = json.loads((folder / row.folder / "result.json").read_text())
        assert result["test_accuracy"] == row.test_accuracy
        assert result["initial_weights"] == row.initial_weights
        assert result["data_order"] == row.data_order
        assert result["finished"]
    for start in ("initial_weights", "data_order"):
        assert (runs.groupby("seed")[start].nunique() == 1).all()
        assert runs[start].nunique() == 2
    accuracy = pd.read_csv(folder / "accuracy.csv").set_index("arm")
    wide = runs.pivot(index="seed", columns="strategy", values="test_accuracy")
    for strategy in wide:
        expected = (2, wide[strategy].mean(), wide[strategy].std())
        assert tuple(accuracy.loc[strategy, ["n", "mean", "std"]]) == pytest.approx(expected)
    (difference,) = pd.read_csv(folder / "differences.csv").to_dict("records")
    apart = wide["mpd-agl"] - wide["fixed:kappa=0.5"]
    assert difference["difference"] == pytest.approx(apart.mean())
    assert difference["sentence"] in done.stdout.replace("\n", " ")


def test_two_names_of_one_strategy_give_one_result(tmp_path):
    # Same weights to start from and same order of the data, so nothing is left to differ.
    made = plan.plan(arms.of_strategies(["fixed", "fixed:kappa=1"]), [3], TINY, tmp_path / "study")
    assert not get("local").run(made.runs(), 2, lambda _: None)
    first, second = (pd.read_csv(run.folder.metrics).drop(columns="seconds") for run in made.runs())
    pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.mark.thorough
def test_finished_runs_are_left_alone_and_more_seeds_join(trained, tmp_path):
    folder, _, _ = trained
    study = copied(folder, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in study.rglob("best.pt")}
    words = ["--strategies", "mpd-agl", "--seeds", "2", "--out", str(study), "--format", "csv"]
    done = compare(*words, *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert "4 of 6 runs are finished already" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    table = pd.read_csv(StringIO(done.stdout))
    assert table["n"].tolist() == [3, 3]
    assert table["pairs"].tolist()[1] == 3


def test_strategies_that_join_go_behind_unless_all_are_given_anew(tmp_path):
    def planned(*strategies, seeds=(0,)):
        made = plan.plan(arms.of_strategies(strategies), seeds, TINY, tmp_path / "study")
        made.write()
        return tuple(arm.name for arm in made.plan.arms), made.plan.seeds

    planned("fixed", "mpd-agl")
    assert planned("lsg", seeds=(1,)) == (("fixed", "mpd-agl", "lsg"), (0, 1))
    assert planned("lsg", "mpd-agl", "fixed")[0] == ("lsg", "mpd-agl", "fixed")


@pytest.mark.thorough
def test_other_settings_in_the_same_folder_are_refused(trained):
    _, wanted, _ = trained
    done = compare(*wanted, *OPTIONS[:-1], "--epochs=3")
    assert done.returncode == 2
    assert "epochs" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("config.toml", "timesteps = 2", "timesteps = 3"), "timesteps 2 and 3"),
        (("config.toml", 'data = "digits"', 'data = "digits-dvs"'), "data digits and digits-dvs"),
        (
            ("result.json", '"initial_weights": "', '"initial_weights": "0'),
            "did not start from the same weights",
        ),
        (("result.json", '"data_order": "', '"data_order": "0'), "did not see the data in the same order"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(trained, tmp_path, change, words):
    study = copied(trained[0], tmp_path)
    name, old, new = change
    path = study / "runs" / "mpd-agl" / "seed-1" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=words):
        mpdviz.compare.collect(study)


@pytest.mark.thorough
def test_collecting_says_what_is_missing(trained, tmp_path):
    study = copied(trained[0], tmp_path)
    shutil.rmtree(study / "runs" / "mpd-agl" / "seed-1")
    done = compare("--collect", str(study))
    assert done.returncode == 0, done.stderr
    assert "missing, 1 of 4 runs: mpd-agl seed 1" in done.stderr.replace("\n", " ")
    assert "no interval can be given for one seed" in done.stdout.replace("\n", " ")


@pytest.mark.slow
def test_shards_together_make_the_whole(trained, tmp_path):
    folder, wanted, _ = trained
    words = [*wanted[:-1], str(tmp_path / "parts"), *OPTIONS]
    for shard in ("1/2", "2/2"):
        done = compare(*words, "--shard", shard)
        assert done.returncode == 0, done.stderr
    collected = compare("--collect", str(tmp_path / "parts"), "--format", "json")
    assert collected.returncode == 0
    whole, parts = (pd.read_csv(place / "runs.csv") for place in (folder, tmp_path / "parts"))
    pd.testing.assert_frame_equal(whole, parts)


@pytest.mark.thorough
def test_an_interrupted_comparison_goes_on_to_the_same_result(trained, tmp_path):
    folder, wanted, _ = trained
    words = [*wanted[:-1], str(tmp_path / "study"), *OPTIONS]
    command = [sys.executable, "-m", "mpdviz.cli", "compare", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "study").rglob("metrics.csv")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "give the same command again" in said.replace("\n", " ")
    assert compare(*words).returncode == 0
    whole, again = (pd.read_csv(place / "runs.csv") for place in (folder, tmp_path / "study"))
    pd.testing.assert_frame_equal(whole, again)


@pytest.mark.thorough
def test_a_run_that_fails_does_not_stop_the_others(tmp_path):
    out = tmp_path / "study"
    (out / "runs" / "mpd-agl" / "seed-0").mkdir(parents=True)
    made = plan.plan(arms.of_strategies(["fixed", "mpd-agl"]), [0], TINY, tmp_path / "other")
    shutil.rmtree(out)
    failing, fine = made.runs()[1], made.runs()[0]
    failing.folder.path.parent.mkdir(parents=True)
    failing.folder.path.write_text("a file where the run folder should be")
    said = []
    failures = get("local").run([failing, fine], 2, said.append)
    assert [failure.run.name for failure in failures] == ["mpd-agl seed 0"]
    assert "exit 2" in failures[0].why
    assert is_finished(fine.folder)
    assert any("failed" in line for line in said)


@pytest.mark.thorough
def test_a_comparison_whose_every_run_fails_exits_1_and_says_why(tmp_path, monkeypatch, capsys):
    words = ["--strategies", "fixed,mpd-agl", "--seeds", "0", "--out", "study", *OPTIONS, "--lr=1e12"]
    assert mpdviz_cli("compare", *words, cwd=tmp_path, monkeypatch=monkeypatch) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    said = shown.err.replace("\n", " ")
    assert said.count("failed: training diverged") == 2
    assert "lower --lr (exit 2, see " in said


@pytest.mark.thorough
def test_a_comparison_of_which_one_run_fails_exits_1_and_gives_the_others(trained, tmp_path):
    study = copied(trained[0], tmp_path)
    shutil.rmtree(study / "runs" / "mpd-agl" / "seed-1")
    (study / "runs" / "mpd-agl" / "seed-1").write_text("a file where the run folder should be")
    done = compare(*trained[1][:-1], str(study), *OPTIONS)
    assert done.returncode == 1, done.stderr
    assert "missing, 1 of 4 runs: mpd-agl seed 1" in done.stderr.replace("\n", " ")
    assert "no interval can be given for one seed" in done.stdout.replace("\n", " ")


# The library --------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_strategies_are_compared_without_a_command_line(trained, tmp_path):
    said = []
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("epochs = 99\ntimesteps = 2\n")
    collected = mpdviz.compare.strategies(
        ["fixed:kappa=0.5", "mpd-agl"],
        seeds=[0],
        out=tmp_path / "study",
        jobs=2,
        recipe=recipe,
        on_event=said.append,
        **{name: value for name, value in TINY.items() if name != "timesteps"},
    )
    assert collected.failures == collected.missing == ()
    assert len(said) == 4
    whole = pd.read_csv(trained[0] / "runs.csv")
    columns = ["strategy", "seed", "test_accuracy", "initial_weights", "folder"]
    expected = whole[whole["seed"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(collected.runs[columns], expected[columns])
    again = mpdviz.compare.collect(tmp_path / "study")
    pd.testing.assert_frame_equal(again.accuracy, collected.accuracy)


@pytest.mark.thorough
def test_a_notebook_shows_what_a_comparison_came_to(trained):
    collected = mpdviz.compare.collect(trained[0])
    assert repr(collected).startswith("Collected(4 of 4 runs finished; ")
    html = collected._repr_html_()
    assert collected.differences["sentence"].iloc[0] in html
    means = collected.accuracy["mean"]
    assert all(f"<td>{100 * mean:.2f}</td>" in html for mean in means)
    curves = collected.plot("curves")  # of the runs' own tables
    assert curves._repr_png_().startswith(b"\x89PNG")
    spread = collected.plot("potentials")  # of what is recorded for it
    assert [axis for axis in spread.axes if axis.has_data()]
    with pytest.raises(BadInput, match="unknown figure 'curve'; did you mean 'curves'"):
        collected.plot("curve")


@pytest.mark.thorough
def test_failures_are_on_the_result(tmp_path):
    collected = mpdviz.compare.strategies(
        ["fixed"], seeds=[0], out=tmp_path / "study", on_event=lambda _: None, **TINY | {"lr": 1e12}
    )
    assert not collected.any_finished
    assert collected.missing == ("fixed seed 0",)
    (failure,) = collected.failures
    assert failure.run.name == "fixed seed 0"
    assert "diverged" in failure.why
    with pytest.raises(BadInput, match="holds no finished run"):
        mpdviz.compare.collect(tmp_path / "study")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"names": []}, "`strategies` '' names one twice or none"),
        ({"seeds": [1, 2, 1]}, "`seeds` '1,2,1' names one twice"),
        ({"seeds": [-1]}, "seed=-1"),
        ({"jobs": 0}, "`jobs` 0"),
        ({"shard": (3, 2)}, "`shard` 3 of 2"),
        ({"executor": "locl"}, "unknown executor 'locl'; did you mean 'local'"),
        ({"log": "tensorbord"}, "unknown log 'tensorbord'; did you mean 'tensorboard'"),
        ({"strategy": "lsg"}, "`strategy` in a comparison"),
        ({"epoch": 3}, "did you mean 'epochs'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_written(tmp_path, given, words):
    with pytest.raises(BadInput, match=words):
        mpdviz.compare.strategies(
            **{"names": ["fixed"], "seeds": [0], "out": tmp_path / "study", **TINY} | given
        )
    assert not list(tmp_path.iterdir())


def test_comparing_is_imported_without_torch_and_pandas():
    code = "import sys, mpdviz.compare, mpdviz.training; print({'torch', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.thorough
def test_runs_may_differ_in_machine_and_log_alone(trained, tmp_path):
    """Other settings of these roles, in the folder of a comparison and in one of its runs."""
    study = copied(trained[0], tmp_path)
    config = study / "runs" / "mpd-agl" / "seed-1" / "config.toml"
    config.write_text(config.read_text() + 'record_every = 3\ndata_dir = "elsewhere"\n')
    before = mpdviz.compare.collect(study).accuracy
    said = []
    collected = mpdviz.compare.strategies(
        ["fixed:kappa=0.5", "mpd-agl"], seeds=[0, 1], out=study, on_event=said.append, save_every=2, **TINY
    )
    assert said == ["4 of 4 runs are finished already"]
    pd.testing.assert_frame_equal(collected.accuracy, before)


# Checkpoints --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    out = tmp_path_factory.mktemp("checkpoints")
    done = compare(str(FIXED), str(ADAPTIVE), "--limit", "100", "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out, done


def potentials(path):
    """Every layer's potentials over the first 100 test samples, as its neurons show them."""
    network = checkpoint.load(path).network.eval()
    kept = {}
    for number, (_, layer) in enumerate(network.spiking_layers(), start=1):
        layer.neuron.observers.append(
            lambda c, v, s, kappa, *_, number=number: kept.setdefault(number, []).append((v, kappa))
        )
    images, _ = next(data.batches(data.load("digits"), "test", batch_size=100))
    with torch.no_grad():
        network(images)
    return {number: parts[0] for number, parts in kept.items()}


def test_sides_are_the_ratios_of_the_potentials(tables):
    layers = pd.read_csv(tables[0] / "layers.csv")
    for path in (FIXED, ADAPTIVE):
        rows = layers[layers["checkpoint"] == path.stem].set_index("layer")
        for number, (v, kappa) in potentials(path).items():
            half = kappa.view(-1, *[1] * (v.dim() - 1)) / 2
            ratio = ((v - 0.5).abs() < half).double().mean().item()
            assert rows.loc[number, "available_ratio"] == pytest.approx(ratio, abs=1e-12)
            assert rows.loc[number, "firing_rate"] == pytest.approx((v >= 0.5).double().mean().item())
    wide = layers.pivot(index="layer", columns="checkpoint", values="available_ratio")
    apart = layers[layers["checkpoint"] == "mpd_agl"].set_index("layer")["available_ratio_difference"]
    np.testing.assert_allclose(apart, wide["mpd_agl"] - wide["fixed"])


def test_each_one_s_potentials_under_the_other_s_widths(tables):
    cross = pd.read_csv(tables[0] / "cross.csv")
    known = {path.stem: potentials(path) for path in (FIXED, ADAPTIVE)}
    assert len(cross) == 5 * 4 * 2 * 2
    for row in cross.itertuples():
        v, _ = known[row.potentials][row.layer]
        _, kappa = known[row.widths][row.layer]
        width = float(kappa[row.timestep - 1])
        assert row.kappa == pytest.approx(width)
        ratio = ((v[row.timestep - 1] - 0.5).abs() < kappa[row.timestep - 1] / 2).double().mean().item()
        assert row.available_ratio == pytest.approx(ratio, abs=1e-12)
        assert row.mean_gain == pytest.approx(ratio / width)


def test_checkpoints_are_compared_without_a_command_line(tables):
    ready = []
    sides = mpdviz.compare.checkpoints([FIXED, str(ADAPTIVE)], limit=100, ready=lambda: ready.append(1))
    assert len(ready) == 2
    assert list(sides.recordings) == ["fixed", "mpd_agl"]
    for name, table in {"layers": sides.layers, "cross": sides.cross}.items():
        written = pd.read_csv(tables[0] / f"{name}.csv")
        pd.testing.assert_frame_equal(table, written, check_dtype=False, rtol=1e-12)
    assert all(note in tables[1].stderr.replace("\n", " ") for note in sides.notes)


@pytest.mark.thorough
def test_two_processes_compare_checkpoints_to_one_result(tables, tmp_path):
    """The team is one for both recordings, and the leader alone has a result."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mpdviz.cli"]
    words = ["compare", str(FIXED), str(ADAPTIVE), "--limit", "100"]
    done = subprocess.run(
        [sys.executable, *torchrun, *words, "--out", str(tmp_path), "--device", "cpu"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    for name in ("layers", "cross"):
        one, two = (pd.read_csv(folder / f"{name}.csv") for folder in (tables[0], tmp_path))
        pd.testing.assert_frame_equal(one, two, rtol=1e-6)


def test_the_figure_draws_the_tables(tables):
    layers, cross = (
        pd.read_csv(tables[0] / f"{name}.csv", keep_default_na=True) for name in ("layers", "cross")
    )
    figure = compared(layers, cross)
    assert len(figure.axes) == 4
    ratio = figure.axes[0]
    assert len(ratio.lines) == 4  # each under its own and under the other's widths
    points = numbers(layers, cross)
    own = points[(points["potentials"] == "fixed") & (points["widths"] == "fixed")]
    np.testing.assert_array_equal(ratio.lines[0].get_ydata(), own["available_ratio"])
    assert (tables[0] / "compared.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.thorough
def test_networks_that_cannot_be_laid_side_by_side_are_refused(trained, tmp_path, monkeypatch, capsys):
    other = trained[0] / "runs" / "mpd-agl" / "seed-0" / "checkpoints" / "best.pt"
    assert mpdviz_cli("compare", FIXED, other, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    assert "differ in T: fixed has 4, seed-0 has 2" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to compare"),
        ([FIXED], "two or more"),
        ([FIXED, FIXED], "two or more"),
        ([FIXED, ADAPTIVE, "--seeds", "0"], "--seeds compares training runs"),
        ([FIXED, ADAPTIVE, "--epochs", "3"], "--epochs is for training"),
        ([FIXED, "missing.pt"], "missing.pt"),
        (["--strategies", "fixed", "--out", "x"], "without --seeds"),
        (["--strategies", "fixed", "--seeds", "0"], "without --out"),
        (["--strategies", "fixed,fixed", "--seeds", "0", "--out", "x"], "--strategies"),
        (["--strategies", "fxed", "--seeds", "0", "--out", "x"], "unknown strategy 'fxed'"),
        (["--strategies", "fixed", "--seeds", "0", "--out", "x", "--strategy", "lsg"], "--strategy"),
        (["--strategies", "fixed", "--seeds", "0", "--out", "x", "--jobs", "0"], "--jobs 0"),
        (["--strategies", "fixed", "--seeds", "0", "--out", "x", "--model", "vggsnn"], "8x8"),
        (
            ["--strategies", "fixed", "--seeds", "0", "--out", "x", "--limit", "3"],
            "--limit is for checkpoints",
        ),
        (["--strategies", "observed:ratio=2", "--seeds", "0", "--out", "x"], "ratio=2"),
        (["--strategies", "lsg:slope=2", "--seeds", "0", "--out", "x"], "slope"),
        (["--collect", "nowhere"], "nowhere"),
        (["--collect", "nowhere", "--epochs", "1"], "--epochs"),
        ([FIXED, ADAPTIVE, "--format", "xml"], "xml"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(words, said, tmp_path, monkeypatch, capsys):
    assert mpdviz_cli("compare", *words, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    lines = capsys.readouterr().err.replace("\n", " ")
    assert said in lines
    assert "Traceback" not in lines
    assert not list(tmp_path.iterdir())


def test_threads_are_shared_out(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads_for(1) == cores
    assert threads_for(10 * cores) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads_for(1) == 1


@pytest.mark.thorough
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of Linux's signals")
def test_a_killed_comparison_takes_its_runs_with_it(tmp_path):
    words = ["--strategies", "fixed,mpd-agl", "--seeds", "0", "--jobs", "2", "--epochs", "9999"]
    script = Path(sys.executable).with_name("mpdviz")
    with subprocess.Popen(
        [script, "compare", *words, "--timesteps", "2", "--out", tmp_path / "c"], stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "c").rglob("checkpoints"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        process.kill()
    deadline = time.monotonic() + 30
    while (held := _trained_in(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not held


def _trained_in(folder):
    """Processes that were told to train somewhere in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.append(path)
    return found
