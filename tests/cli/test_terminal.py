"""What a user sees: on terminals of several widths, dumb ones, without colour, through pipes, in ASCII."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from handmade import counted, info
from rich.cells import cell_len
from terminals import ROOT, on_terminal

from mpdviz import load_recording
from mpdviz.accumulations import storage
from mpdviz.accumulations.contents import Contents
from mpdviz.analysis import summary
from mpdviz.strategies import STRATEGIES

WIDTHS = [60, 80, 100, 200]
TIMESTEPS, STARVED = 4, 17
SHARE = r"\d{1,3}(?:\.\d)? %"
FIXED, ADAPTIVE = (ROOT / "sample_checkpoints" / name for name in ("fixed.pt", "mpd_agl.pt"))


def name_of(number):
    return f"backbone.stages.{number}.residual.spiking_neuron" if number % 2 else f"layer{number}"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """Twenty layers, the 17th starved at t=2, some with long names, the last with an unknown interval."""
    layers = {}
    for number in range(1, 21):
        random = np.random.default_rng(number)
        v = random.normal(0.3 + number / 100, 0.4, (TIMESTEPS, 40, 10))
        if number == STARVED:
            v[1] = random.normal(-2, 1.0, (40, 10))
        known = {"lower": (np.nan,) * 4, "upper": (np.nan,) * 4} if number == 20 else {}
        layers[number] = counted(v, info(TIMESTEPS, name=name_of(number), **known))
    path = tmp_path_factory.mktemp("recorded") / "recording.npz"
    storage.save(path, Contents(layers))
    return path


def words(text):
    return " ".join(text.split())


def assert_fits(seen):
    assert seen.code in (0, 1), seen.plain
    assert "Traceback" not in seen.plain
    for line in seen.drawn:
        assert cell_len(line) <= seen.columns, line


def rows_of(lines):
    """Cells of the rows of a table, by two or more spaces."""
    return [re.split(r"\s{2,}", line.strip()) for line in lines if re.match(r"\s*\d+  \S", line)]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_default_view_answers_first_and_has_a_row_a_layer(recorded, width):
    seen = on_terminal("inspect", recorded, columns=width)
    assert_fits(seen)
    recording = load_recording(recorded)
    answer = summary.answer(summary.by_layer(recording.layers))
    assert answer.startswith(f"1 of 20 layers is starved: layer {STARVED} ")
    assert words(seen.plain).startswith(answer)
    heads = next(line for line in seen.lines if line.startswith("layer ") and "worst" in line)
    shown = re.split(r"\s{2,}", heads)
    always = ["layer", "name", "worst", "at", "why"]
    every = ["layer", "name", "available", "by timestep", "worst", "at", "why", "firing"]
    assert [head for head in shown if head in always] == always
    assert shown == every if width >= 80 else set(shown) < set(every)
    rows = rows_of(seen.lines)
    assert [row[0] for row in rows] == [str(number) for number in range(1, 21)]
    table = recording.table()
    for row in rows:
        of_layer = table[table["layer"] == int(row[0])]
        cells = dict(zip(shown, row, strict=True))
        expected = of_layer["available_ratio"].to_numpy()
        assert_name(cells["name"], of_layer["name"].iloc[0])
        if np.isnan(expected).all():
            assert (cells["worst"], cells["at"], cells["why"]) == ("-", "-", "not measured")
            continue
        assert re.fullmatch(SHARE, cells["worst"])
        assert float(cells["worst"][:-2]) == pytest.approx(100 * expected.min(), abs=0.051)
        assert cells["at"] == f"t={expected.argmin() + 1}"
        assert cells["why"] == ("! below" if row[0] == str(STARVED) else "ok")
        if width >= 80:
            assert float(cells["available"][:-2]) == pytest.approx(100 * expected.mean(), abs=0.051)
            firing = of_layer["firing_rate"].mean()
            assert float(cells["firing"][:-2]) == pytest.approx(100 * firing, abs=0.051)
            assert len(cells["by timestep"]) == TIMESTEPS
    said = words(seen.plain)
    assert "! starved: under 10.0 % at its worst timestep" in said
    assert "--full: a row for each timestep" in said


def assert_name(shown, name):
    """The name, or its ends with the middle left out."""
    start, gap, end = shown.partition("…")
    assert shown == name or (gap and name.startswith(start) and name.endswith(end) and start and end)


@pytest.mark.parametrize("width", WIDTHS)
def test_full_has_a_row_a_timestep_and_drops_columns_in_order(recorded, width):
    seen = on_terminal("inspect", recorded, "--full", "--layer", "15-17", columns=width)
    assert_fits(seen)
    heads = re.split(r"\s{2,}", next(line for line in seen.lines if line.startswith("layer  name")))
    assert heads[:4] == ["layer", "name", "t", "available"]
    order = ["lower", "upper", "std", "mean", "gain", "kappa", "reach", "firing", "below", "above"]
    there = [name in heads for name in order]
    assert there == sorted(there), heads  # what is dropped later is there where what is dropped earlier is
    rows = rows_of(seen.lines)
    assert [(row[0], row[2]) for row in rows] == [(str(i), str(t)) for i in (15, 16, 17) for t in range(1, 5)]
    table = load_recording(recorded).table().set_index(["layer", "timestep"])
    for row in rows:
        assert not any("…" in cell or ".." in cell for cell in row[2:])
        cells = dict(zip(heads, row, strict=True))
        share = table.loc[(int(row[0]), int(row[2])), "available_ratio"]
        assert float(cells["available"][:-2]) == pytest.approx(100 * share, abs=0.051)
    dropped = [name for name in order if name not in heads]
    assert all(name in words(seen.plain).partition("no room for")[2] for name in dropped)
    if width == 200:
        assert not dropped


@pytest.mark.parametrize("width", WIDTHS)
def test_check_groups_by_layer_the_worst_first_with_a_remedy_each(recorded, width):
    seen = on_terminal("check", recorded, "--too-wide", 1, columns=width)
    assert_fits(seen)
    assert seen.code == 1
    said = words(seen.plain)
    assert re.match(r"\d+ of 20 layers fail: \d+ of \d+ checks passed, \d+ not measured\.", said)
    layers = [int(found) for found in re.findall(r"^layer (\d+) \(", seen.plain, re.MULTILINE)]
    assert layers[0] == STARVED
    assert len(set(layers)) == len(layers)
    lowest = load_recording(recorded).table().groupby("layer")["available_ratio"].min()
    assert lowest[layers].tolist() == sorted(lowest[layers])
    assert "starved: " in said
    assert "(limit 0.1) mpdviz advise says what would help" in said
    assert said.count("FAIL") == sum(
        not verdict.passed for verdict in load_recording(recorded).verdicts(type_limits(too_wide=1.0))
    )


def type_limits(**given):
    from mpdviz.analysis.limits import Limits

    return Limits(**given)


@pytest.mark.thorough
@pytest.mark.parametrize("width", [60, 80, 200])
def test_compare_says_where_they_differ_and_a_difference_of_what(width):
    seen = on_terminal("compare", FIXED, ADAPTIVE, "--limit", 64, columns=width)
    assert_fits(seen)
    said = words(seen.plain)
    assert said.startswith("mpd_agl against fixed: available shares differ most in layer ")
    assert "vs fixed: minus the value of fixed (pt: points of a share in %)" in said
    heads = next(line for line in seen.lines if line.startswith("layer  name"))
    assert "available  vs fixed" in heads
    assert ("gradient" in heads) == (width == 200)
    pairs = re.findall(rf"fixed\s+({SHARE}).*\n.*mpd_agl\s+({SHARE})\s+([+-]\d+\.\d) pt", seen.plain)
    assert len(pairs) == 5
    for first, second, difference in pairs:
        apart = float(second[:-2]) - float(first[:-2])
        assert float(difference) == pytest.approx(apart, abs=0.11)


LISTS = ["models", "neurons", "strategies", "surrogates", "backends", "data", "recipes", "samples", "columns"]


@pytest.mark.parametrize("what", LISTS)
def test_lists_fit(what):
    for width in (60, 80):
        seen = on_terminal("list", what, columns=width)
        if what == "samples":  # a path is whole, however long
            assert all(str(path) in seen.plain.replace("\n", "") for path in (FIXED, ADAPTIVE))
        else:
            assert_fits(seen)
    if what == "strategies":
        rows = [line for line in seen.lines if line.split(" ")[0] in STRATEGIES]
        assert len(rows) == len(STRATEGIES)


def test_a_dumb_terminal_gets_no_escape_codes_and_no_moving_bar(recorded, tmp_path):
    seen = on_terminal("inspect", recorded, "--layer", 17, "--out", tmp_path / "o", columns=60, TERM="dumb")
    assert "\x1b" not in seen.raw
    assert "drawing" not in seen.raw
    assert [line for line in seen.drawn if cell_len(line) > 60] in ([], [str(tmp_path / "o")])  # whole
    assert seen.plain.startswith("1 of 20 layers is starved")


def test_without_colour_nothing_is_lost(recorded):
    coloured, plain = (on_terminal("inspect", recorded, NO_COLOR=value) for value in (None, "1"))
    assert re.search(r"\x1b\[[0-9;]*31m", coloured.raw)
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])m", plain.raw)
    assert coloured.plain == plain.plain


def test_a_process_of_its_own_prints_the_same(recorded):
    alone = on_terminal("inspect", recorded, alone=True)
    assert alone.plain == on_terminal("inspect", recorded).plain


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("environment", "width"),
    [({}, 80), ({"COLUMNS": "200"}, 200), ({"PYTHONIOENCODING": "ascii"}, 80), ({"LC_ALL": "C"}, 80)],
)
def test_pipes_get_plain_lines_of_a_known_width(recorded, environment, width):
    variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    command = [sys.executable, "-m", "mpdviz", "inspect", str(recorded)]
    done = subprocess.run(command, cwd=ROOT, env=variables | environment, capture_output=True, check=True)
    text = done.stdout.decode("ascii" if "PYTHONIOENCODING" in environment else "utf-8")
    assert "\x1b" not in text + done.stderr.decode()
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert len(rows_of(text.splitlines())) == 20
    assert ("backbone.stages.17.residual.spiking_neuron" in text.partition("layer  name")[2]) == (
        width == 200
    )
    if "PYTHONIOENCODING" in environment:
        assert "?" not in text.partition("layer  name")[2].replace("????", "")
    assert "--full: a row" not in done.stderr.decode()  # a hint is for who sits before it


@pytest.mark.thorough
@pytest.mark.parametrize("width", [60, 100])
def test_messages_break_between_words(width):
    seen = on_terminal("inspect", "none.pt", "--layer", 1, columns=width)
    assert seen.code == 2
    assert all(cell_len(line) <= width for line in seen.lines)
    piped = subprocess.run(
        [sys.executable, "-m", "mpdviz", "inspect", "none.pt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert words(seen.plain) == piped.stderr.strip()


@pytest.mark.thorough
def test_one_bar_over_recording_and_figures(tmp_path):
    out = tmp_path / "out"
    seen = on_terminal("inspect", FIXED, "--limit", 128, "--out", out, columns=100)
    assert_fits(seen)
    bars = "\n".join(line for line in seen.drawn if line.startswith(("recording", "drawing")))
    assert "recording" in bars
    assert "drawing" in bars
    steps = [tuple(map(int, found)) for found in re.findall(r" (\d+)/(\d+) ", bars)]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert max(of for _, of in steps) == steps[-1][1] == steps[-1][0]
    assert "nan" not in bars
    files = [path for path in out.iterdir() if path.name != ".mpdviz"]
    assert not any(
        line.startswith(("recording", "drawing")) for line in seen.lines
    )  # it leaves nothing behind
    assert f"wrote {len(files)} files to {out}" in words(seen.plain)


def test_training_shows_no_loss_before_there_is_one(tmp_path):
    words = ("--epochs", 1, "--model", "convsnn:encode_channels=4:planes=4-4", "--out", tmp_path / "run")
    seen = on_terminal("train", *words, columns=120)
    assert seen.code == 0, seen.plain
    bars = "\n".join(seen.drawn)
    assert "nan" not in bars
    losses = re.findall(r"loss (\d\S*)", bars)
    assert len(losses) == bars.count("loss ")
    assert losses
    assert all(np.isfinite(float(loss)) for loss in losses)


def test_many_timesteps_share_bars_that_show_the_lowest():
    from mpdviz.cli.layers import MOST_BARS, bars

    ratios = [0.9] * 100
    ratios[50] = 0.0
    drawn = bars(ratios)
    assert len(drawn) <= MOST_BARS
    assert len(set(drawn)) == 2
    assert bars([np.nan, 0.0, 1.0])[0] == "?"
