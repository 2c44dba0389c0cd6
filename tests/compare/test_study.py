"""`mpdviz compare`: paired statistics against tables, runs that continue, checkpoints against `inspect`."""

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
from mpdviz.cli.main import run as command_line

from mpdviz import checkpoint, data
from mpdviz.analysis import paired
from mpdviz.compare import collect, launch, plan
from mpdviz.config import validate
from mpdviz.errors import BadInput
from mpdviz.figures.compared import compared, numbers

SAMPLES = Path(__file__).parents[2] / "sample_checkpoints"
FIXED, ADAPTIVE = SAMPLES / "fixed.pt", SAMPLES / "mpd_agl.pt"
TINY = {"encode_channels": 4, "planes": "4,4", "timesteps": 2, "batch_size": 16, "device": "cpu", "epochs": 2}
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


def test_seeds_shards_and_strategies_are_read():
    assert plan.parse_seeds("0-3,7") == (0, 1, 2, 3, 7)
    assert plan.parse_shard("2/8") == (2, 8)
    assert plan.parse_strategies("fixed:kappa=2.5, mpd-agl") == ("fixed:kappa=2.5", "mpd-agl")
    made = plan.plan(["fixed", "mpd-agl"], [0, 1, 2], TINY, Path("nowhere"))
    runs = made.runs()
    assert [run.name for run in runs[:3]] == ["fixed seed 0", "mpd-agl seed 0", "fixed seed 1"]
    shards = [plan.shard(runs, number, 4) for number in (1, 2, 3, 4)]
    assert sorted(run.name for part in shards for run in part) == sorted(run.name for run in runs)
    assert len({run.folder.path for run in runs}) == len(runs)


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,1", "0--1", "-1", "1.5", "0-99999999999", "٣"])
def test_bad_seeds_are_refused(text):
    with pytest.raises(BadInput, match="--seeds"):
        plan.parse_seeds(text)


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "1", "1/0", "a/b"])
def test_bad_shards_are_refused(text):
    with pytest.raises(BadInput, match="--shard"):
        plan.parse_shard(text)


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


def test_tables_are_what_the_run_folders_say(trained):
    folder, _, done = trained
    runs = pd.read_csv(folder / "runs.csv")
    assert len(runs) == 4
    for row in runs.itertuples():
        result = json.loads((folder / row.folder / "result.json").read_text())
        assert result["test_accuracy"] == row.test_accuracy
        assert result["initial_weights"] == row.initial_weights
        assert result["finished"]
    assert (runs.groupby("seed")["initial_weights"].nunique() == 1).all()
    assert runs["initial_weights"].nunique() == 2
    accuracy = pd.read_csv(folder / "accuracy.csv").set_index("strategy")
    wide = runs.pivot(index="seed", columns="strategy", values="test_accuracy")
    for strategy in wide:
        expected = (2, wide[strategy].mean(), wide[strategy].std())
        assert tuple(accuracy.loc[strategy]) == pytest.approx(expected)
    (difference,) = pd.read_csv(folder / "differences.csv").to_dict("records")
    apart = wide["mpd-agl"] - wide["fixed:kappa=0.5"]
    assert difference["difference"] == pytest.approx(apart.mean())
    assert difference["sentence"] in done.stdout.replace("\n", " ")


def test_two_names_of_one_strategy_give_one_result(tmp_path):
    # Same weights to start from and same order of the data, so nothing is left to differ.
    made = plan.plan(["fixed", "fixed:kappa=1"], [3], TINY, tmp_path / "study")
    assert not launch.launch(made.runs(), 2, lambda _: None)
    first, second = (pd.read_csv(run.folder.metrics).drop(columns="seconds") for run in made.runs())
    pd.testing.assert_frame_equal(first, second, check_exact=True)


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
        made = plan.plan(strategies, seeds, TINY, tmp_path / "study")
        made.write()
        return made.strategies, made.seeds

    planned("fixed", "mpd-agl")
    assert planned("lsg", seeds=(1,)) == (("fixed", "mpd-agl", "lsg"), (0, 1))
    assert planned("lsg", "mpd-agl", "fixed")[0] == ("lsg", "mpd-agl", "fixed")


def test_other_settings_in_the_same_folder_are_refused(trained):
    _, wanted, _ = trained
    done = compare(*wanted, *OPTIONS[:-1], "--epochs=3")
    assert done.returncode == 2
    assert "epochs" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("config.toml", "timesteps = 2", "timesteps = 3"), "timesteps 2 and 3"),
        (("config.toml", 'data = "digits"', 'data = "digits-dvs"'), "data digits and digits-dvs"),
        (
            ("result.json", '"initial_weights": "', '"initial_weights": "0'),
            "did not start from the same weights",
        ),
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
        collect.collect(plan.read(study))


def test_collecting_says_what_is_missing(trained, tmp_path):
    study = copied(trained[0], tmp_path)
    shutil.rmtree(study / "runs" / "mpd-agl" / "seed-1")
    done = compare("--collect", str(study))
    assert done.returncode == 0, done.stderr
    assert "missing, 1 of 4 runs: mpd-agl seed 1" in done.stderr.replace("\n", " ")
    assert "no interval can be given for one seed" in done.stdout.replace("\n", " ")


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


def test_a_run_that_fails_does_not_stop_the_others(tmp_path):
    out = tmp_path / "study"
    (out / "runs" / "mpd-agl" / "seed-0").mkdir(parents=True)
    made = plan.plan(["fixed", "mpd-agl"], [0], TINY, tmp_path / "other")
    shutil.rmtree(out)
    failing, fine = made.runs()[1], made.runs()[0]
    failing.folder.path.parent.mkdir(parents=True)
    failing.folder.path.write_text("a file where the run folder should be")
    said = []
    failures = launch.launch([failing, fine], 2, said.append)
    assert [failure.run.name for failure in failures] == ["mpd-agl seed 0"]
    assert "exit 2" in failures[0].why
    assert launch.is_finished(fine)
    assert any("failed" in line for line in said)


def test_arguments_give_the_same_settings_back():
    config = validate(
        {"strategy": "lsg", "planes": "4,4", "augment": False, "record_every": 3, "data": "npz:a b.npz"}
    )
    back = {}
    for word in launch.arguments(config):
        name, _, value = word.removeprefix("--").partition("=")
        if not value:
            name, value = name.removeprefix("no-"), not name.startswith("no-")
        back[name.replace("-", "_")] = value
    assert validate(back) == config


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
            lambda c, v, s, kappa, v_th, number=number: kept.setdefault(number, []).append((v, kappa))
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


def test_networks_that_cannot_be_laid_side_by_side_are_refused(trained, tmp_path, monkeypatch, capsys):
    other = trained[0] / "runs" / "mpd-agl" / "seed-0" / "checkpoints" / "best.pt"
    assert mpdviz_cli("compare", FIXED, other, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    assert "differ in T: fixed has 4, best has 2" in capsys.readouterr().err.replace("\n", " ")


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
    assert launch._threads(1) == cores
    assert launch._threads(10 * cores) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert launch._threads(1) == 1
