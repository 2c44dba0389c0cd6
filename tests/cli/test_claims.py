"""`mpdviz claims`: what it prints and writes, and what it refuses."""

from types import SimpleNamespace

import pandas as pd
import pytest
from mpdviz.cli import claims, compared

CLAIMS = ("claims", "sample:fixed", "sample:mpd_agl", "--limit", "32")
ROWS = 2 * 2 * 5 * 4  # runs, modes, layers, timesteps


@pytest.mark.thorough
def test_the_answer_comes_first_and_everything_fits(place, mpdviz):
    status, out, said = mpdviz(*CLAIMS, "--out", "made")
    assert status == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    assert out.startswith("eval: mpd-agl has more inside its interval than fixed at")
    assert "closed form  correlated" in out
    assert said[-1] == "wrote 4 files to made"
    assert len(pd.read_csv(place / "made" / "layers.csv")) == ROWS
    assert {path.name for path in (place / "made").iterdir() if path.name[0] != "."} == {
        "layers.csv",
        "steps.csv",
        "closed_form.png",
        "closed_form.txt",
    }
    status, out, _ = mpdviz(*CLAIMS, "--full", "--format", "csv")
    assert len(out.splitlines()) == 1 + ROWS


def test_runs_of_a_crossed_study_are_told_apart_at_80_columns(capsys, monkeypatch):
    """Their names differ in the middle alone."""
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"mpd-agl, decay={decay}, gamma=0.5" for decay in (0.2, 0.9)]
    table = pd.DataFrame({"variant": names, "mode": "train", "step": "> 1", "n": 3})
    for column in ("available", "available_std", "closed_form", "correlated"):
        table[column] = 0.5
    claims._print(table, full=False)
    sides = pd.DataFrame({"arm": names, "n": 3, "mean": 0.9, "std": 0.01, "p_holm": 0.5, "chosen": ""})
    sides = sides.assign(available=0.5, available_std=0.01, lowest=0.1)
    empty = pd.DataFrame({"sentence": []})
    compared.print_accuracy(SimpleNamespace(differences=empty, summary=lambda: sides, weights=""))
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines())
    for name in names:
        assert printed.count(name) == 2


def test_what_is_no_run_is_refused_in_one_line(place, mpdviz):
    for words, told in (
        (("claims", "nowhere"), "nowhere"),
        ((*CLAIMS, "--format", "xml"), "unknown format 'xml'"),
        ((*CLAIMS, "--split", "tset"), "unknown split 'tset'"),
        (("claims", "sample:fixed", "sample:fixed"), "are the same run"),
        ((*CLAIMS, "--out", "run"), "run"),
    ):
        status, _, said = mpdviz(*words)
        assert status == 2
        assert len(said) == 1
        assert told in said[0]
