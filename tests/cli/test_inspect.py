"""`mpdviz inspect`, `check` and `list` as a user calls them: real processes on the sample checkpoints."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import commands
import numpy as np
import pandas as pd
import pytest

from mpdviz.analysis import columns

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_checkpoints" / "mpd_agl.pt"
FIXED = ROOT / "sample_checkpoints" / "fixed.pt"


def mpdviz(*args, code=0, binary=False):
    done = commands.mpdviz(*args)
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout if binary else done.stdout.decode()


@pytest.fixture(scope="module")
def rows():
    return json.loads(mpdviz("inspect", SAMPLE, "--format", "json"))


def test_json_is_one_array_of_rows_with_the_main_columns_first(rows):
    assert len(rows) == 5 * 4
    names = [column.name for column in columns.MAIN]
    assert all(list(row)[: len(names)] == names for row in rows)
    assert [(row["layer"], row["timestep"]) for row in rows] == [
        (i, t) for i in range(1, 6) for t in range(1, 5)
    ]


def test_shares_add_up_and_counts_are_samples_times_neurons(rows):
    for row in rows:
        assert row["available_ratio"] + row["below_ratio"] + row["above_ratio"] == pytest.approx(1, abs=1e-12)
    assert [row["count"] / 359 for row in rows[::4]] == [2048, 2048, 1024, 1024, 128]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_other_formats_hold_the_same_numbers(rows, kind):
    written = mpdviz("inspect", SAMPLE, "--format", kind, binary=True)
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[kind](io.BytesIO(written))
    assert read["count"].tolist() == [row["count"] for row in rows]
    np.testing.assert_array_equal(read["mean"], [row["mean"] for row in rows])


def test_markdown_and_latex_are_tables():
    for options, rows in (((), 5), (("--full",), 5 * 4), (("--full", "--layer", 1), 4)):
        answer, empty, *markdown = mpdviz("inspect", SAMPLE, *options, "--format", "markdown").splitlines()
        assert answer.startswith("None of 5 layers is starved: ")
        assert not empty
        assert len(markdown) == 2 + rows
        assert all(line.startswith("| ") and line.endswith(" |") for line in markdown)
        assert len({line.count("|") for line in markdown}) == 1
    latex = mpdviz("inspect", SAMPLE, "--layer", 1, "--format", "latex")
    assert latex.startswith(r"\begin{tabular}")
    assert r"\toprule" in latex


@pytest.mark.parametrize(
    ("layers", "expected"), [("3", [3]), ("2-4", [2, 3, 4]), ("encode", [1]), ("5,1-2", [1, 2, 5])]
)
def test_layers_are_chosen_by_number_range_and_name(layers, expected):
    written = mpdviz("inspect", SAMPLE, "--layer", layers, "--timestep", "2-3", "--format", "csv")
    table = pd.read_csv(io.StringIO(written))
    assert sorted(table["layer"].unique()) == expected
    assert sorted(table["timestep"].unique()) == [2, 3]


def test_one_layer_is_sketched_with_its_interval():
    lines = mpdviz("inspect", SAMPLE, "--layer", 3).splitlines()
    sketched = [line for line in lines if line.startswith("t=")]
    assert len(sketched) == 4
    assert all("█" in line for line in sketched)
    marks = [line for line in lines if "[" in line and "|" in line and "]" in line][1:]
    assert len(marks) == 4


def test_out_holds_tables_and_figures(tmp_path):
    mpdviz("inspect", SAMPLE, "--layer", "2,5", "--out", tmp_path / "new", "--figure-format", "svg")
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert {"table.csv", "layers.csv", "distribution_layer02.svg", "distribution_layer05.csv"} <= names


def test_saved_recordings_give_the_same_table_and_merge(tmp_path, rows):
    halves = [tmp_path / "one.npz", tmp_path / "two.npz"]
    mpdviz("inspect", SAMPLE, "--save", halves[0])
    mpdviz("inspect", SAMPLE, "--save", halves[1], "--split", "val")
    assert json.loads(mpdviz("inspect", halves[0], "--format", "json")) == rows
    merged = json.loads(mpdviz("inspect", *halves, "--format", "json"))
    assert [row["count"] for row in merged] == [row["count"] // 359 * (359 + 179) for row in rows]


def test_what_ifs_are_columns():
    options = ("--what-if", "0.5,1", "--target-ratio", "0.5", "--what-if-surrogate", "atan")
    table = pd.read_csv(io.StringIO(mpdviz("inspect", FIXED, *options, "--format", "csv")))
    # fixed.pt has kappa = 1, so the what-if of 1 must be what was observed.
    np.testing.assert_array_equal(table["available_ratio_kappa1"], table["available_ratio"])
    assert (table["available_ratio_kappa0.5"] < table["available_ratio"]).all()
    assert (table["kappa_for_0.5"] > 1).any()
    assert (table["available_ratio_low_atan"] <= table["available_ratio_high_atan"]).all()


def test_gradients_are_columns():
    table = pd.read_csv(
        io.StringIO(mpdviz("inspect", FIXED, "--gradients", "--limit", 64, "--format", "csv"))
    )
    assert (table["count"] / 64).tolist()[::4] == [2048, 2048, 1024, 1024, 128]
    assert (table["grad_norm"] > 0).all()
    # A potential without reach gets exactly no gradient; one with reach could still get zero.
    assert (table["grad_zero_ratio"] >= 1 - table["reach_ratio"] - 1e-12).all()


def test_training_mode_sees_batch_statistics_and_leaves_the_file_alone():
    before = FIXED.read_bytes()
    trained = pd.read_csv(io.StringIO(mpdviz("inspect", FIXED, "--mode", "train", "--format", "csv")))
    evaluated = pd.read_csv(io.StringIO(mpdviz("inspect", FIXED, "--format", "csv")))
    assert not np.allclose(trained["mean"], evaluated["mean"])
    # With batch statistics the first timesteps' currents have the batch norm's own mean over all timesteps.
    assert FIXED.read_bytes() == before


@pytest.mark.thorough
def test_two_processes_count_the_same_integers(rows):
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        "29533",
    ]
    command = [*torchrun, "-m", "mpdviz.cli", "inspect", str(SAMPLE), "--format", "json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    shared = json.loads(done.stdout)
    integers = ("count", "nonfinite")
    ratios = ("available_ratio", "below_ratio", "above_ratio", "reach_ratio", "firing_rate", "synops", "ks")
    for one, two in zip(rows, shared, strict=True):
        assert [one[name] for name in (*integers, *ratios)] == [two[name] for name in (*integers, *ratios)]
        assert two["std"] == pytest.approx(one["std"], rel=1e-12)


def test_check_passes_and_fails_by_its_limits():
    said = mpdviz("check", SAMPLE)
    assert said.startswith("None of 5 layers fails: 55 of 55 checks passed, 5 not measured.\n")
    assert "not measured: nonfinite_gradient of layers 1-5: no gradients were recorded" in said
    assert said.count("not measured") == 2
    assert mpdviz("check", SAMPLE, "--verbose").count("not measured  nonfinite_gradient: ") == 5
    failed = mpdviz("check", SAMPLE, "--starved", "0.99", code=1)
    assert failed.count("FAIL") == failed.count("starved: ") == 5
    assert failed.count("mpdviz advise says what would help") == 5
    verdicts = json.loads(mpdviz("check", SAMPLE, "--starved", "0.99", "--format", "json", code=1))
    assert len(verdicts) == 60
    assert sum(not verdict["passed"] for verdict in verdicts) == 5
    outcomes = [verdict["outcome"] for verdict in verdicts]
    assert [outcomes.count(outcome) for outcome in ("ok", "failed", "not measured")] == [50, 5, 5]
    assert all(bool(verdict["remedy"]) == (verdict["outcome"] == "failed") for verdict in verdicts)
    assert all((verdict["value"] is None) == (verdict["outcome"] == "not measured") for verdict in verdicts)


@pytest.mark.parametrize(
    "what", ["models", "neurons", "strategies", "surrogates", "data", "samples", "columns"]
)
def test_lists(what):
    assert len(mpdviz("list", what).splitlines()) >= 3


def test_list_columns_explains_every_column_that_inspect_exports(rows):
    text = mpdviz("list", "columns")
    explained = {line.split()[0] for line in text.splitlines() if line.strip()}
    base = {
        name.removesuffix(end)
        for name in rows[0]
        for end in ("_mixture", "_time", "_reset", "_correlated")
        if name.endswith(end)
    }
    plain = {name for name in rows[0] if not name.endswith(("_mixture", "_time", "_reset", "_correlated"))}
    assert base | plain <= explained


def test_help_needs_no_torch():
    script = "import sys, mpdviz.cli.main; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
