"""`mpdviz advise`: what it prints in every format, the arms that it writes, a run that takes one of them."""

import csv
import io
import json
import shutil
import tomllib

import pytest
from mpdviz.cli.formats import EXPORTS
from places import BEST, TINY

import mpdviz as library
from mpdviz import Limits

ADVISE = ("advise", BEST, "--data", "npz:data.npz", "--starved", "0.9")

OWN = """
import torch
from mpdviz import neurons


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.lif, self.two = torch.nn.Linear(64, 8), neurons.LIF(), torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.two(self.lif(self.one(x.flatten(1)).expand(2, -1, -1)))
"""


def number(cell):
    """A number as a table has it; None where there is none."""
    return None if cell in (None, "") or float(cell) != float(cell) else float(cell)


def test_the_answer_comes_first_and_everything_fits(place, mpdviz):
    status, out, _ = mpdviz(*ADVISE)
    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith("5 of 5 layers need a remedy. Begin with layer")
    assert all(len(line) <= 80 for line in lines)
    assert out.count("\nlayer ") == 5
    for heading in ("remedy", "lowest available", "mean gain"):
        assert heading in out
    assert "fast-sigmoid" not in out  # it helps none
    status, verbose, _ = mpdviz(*ADVISE, "--verbose")
    assert "fast-sigmoid" in verbose
    assert all(len(line) <= 80 for line in verbose.splitlines())


def test_nothing_to_do_is_said_and_no_failure(place, mpdviz):
    status, out, _ = mpdviz("advise", "sample:fixed")
    assert (status, out) == (
        0,
        "None of 5 layers needs a remedy: every check that could be measured passed.\n",
    )


@pytest.mark.thorough
@pytest.mark.parametrize("format_", ["json", "csv", "latex", "markdown"])
def test_formats_hold_what_the_library_says(place, mpdviz, format_):
    found = library.inspect(BEST, data="npz:data.npz").advice(0.6, Limits(starved=0.9)).table()
    status, out, _ = mpdviz(*ADVISE, "--target-ratio", "0.6", "--format", format_)
    assert status == 0
    if format_ == "json":
        rows = json.loads(out)
        assert [row["remedy"] for row in rows] == found["remedy"].tolist()
        assert [number(row["mean_gain_low"]) for row in rows] == [
            number(low) for low in found["mean_gain_low"]
        ]
    elif format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(out)))
        ratios = [number(row["available_ratio_low"]) for row in rows]
        assert ratios == [number(low) for low in found["available_ratio_low"]]
    else:
        assert "width 60" in out
        assert set(EXPORTS) >= {"json", "csv", "latex"}


def test_a_recording_gives_the_same_advice_as_its_checkpoint(place, mpdviz):
    assert mpdviz("inspect", BEST, "--data", "npz:data.npz", "--save", "r.npz")[0] == 0
    said = [mpdviz(*words, "--starved", "0.9")[1] for words in (ADVISE[:4], ("advise", "r.npz"))]
    assert said[0] == said[1]
    status, _, lines = mpdviz("advise", "r.npz", "--starved", "0.9", "--out", "a.toml")
    assert status == 0
    assert any("no arms were written" in line for line in lines)
    assert not (place / "a.toml").exists()


def test_arms_are_written_and_one_of_them_trains(place, mpdviz):
    status, _, lines = mpdviz(*ADVISE, "--out", "study/advice.toml")
    assert status == 0
    assert any("mpdviz compare --arms study/advice.toml" in line for line in lines)
    content = tomllib.loads((place / "study" / "advice.toml").read_text())
    (arm,) = [arm for arm in content["arms"] if arm["strategy"].startswith("prescribed")]
    train = ("train", "--data", "npz:data.npz", *TINY, "--epochs", "1", "--strategy", arm["strategy"])
    assert mpdviz(*train, "--out", "new")[0] == 0
    shutil.rmtree(place / "study")
    status, out, _ = mpdviz("inspect", "new", "--data", "npz:data.npz", "--format", "json")
    assert status == 0
    rows = json.loads(out)
    advised = library.inspect(BEST, data="npz:data.npz").advice(0.5, Limits(starved=0.9)).table()
    widths = advised[advised["remedy"] == "width 50 %"].set_index(["layer", "timestep"])["kappa"]
    assert len(widths)
    for row in rows:
        if (row["layer"], row["timestep"]) in widths.index:
            assert row["kappa"] == pytest.approx(widths[row["layer"], row["timestep"]])


def test_a_network_of_one_s_own_is_advised_without_arms(place, mpdviz, monkeypatch):
    (place / "own_advised.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(place))
    own = ("--model", "own_advised:Net", "--data", "npz:data.npz", "--starved", "0.9", "--out", "a.toml")
    status, out, lines = mpdviz("advise", *own)
    assert status == 0
    assert "Begin with layer 1 (lif)" in " ".join(out.split())
    assert any("no arms were written" in line and "your own code" in line for line in lines)
    assert not (place / "a.toml").exists()


def test_what_is_refused(place, refused):
    for value in ("0", "1", "nan", "-3"):
        refused(*ADVISE, "--target-ratio", value, words=("--target-ratio",))
    refused(*ADVISE, "--out", "a.json", words=("a.json", ".toml"))
    refused(*ADVISE, "--format", "yaml", words=("yaml",))
    (place / "mine.toml").write_text("mine = 1\n")
    refused(*ADVISE, "--out", "mine.toml", words=("mine.toml", "not written by"))
    (place / "b.widths.json").write_text("{}")
    refused(*ADVISE, "--out", "b.toml", words=("b.widths.json",))
    refused("advise", words=("no checkpoint",))
