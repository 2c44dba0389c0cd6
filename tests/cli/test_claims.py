"""`mpdviz claims`: what it prints and writes, and what it refuses."""

import pandas as pd

CLAIMS = ("claims", "sample:fixed", "sample:mpd_agl", "--limit", "32")
ROWS = 2 * 2 * 5 * 4  # runs, modes, layers, timesteps


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
