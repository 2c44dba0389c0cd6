"""Captions of figures of recordings and of networks side by side: what is known, each thing once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import mpdviz
from mpdviz import figures
from mpdviz.accumulations.contents import Contents
from mpdviz.figures import origin
from mpdviz.figures.tables import Tables
from mpdviz.neurons import LIF

SAMPLES = Path(__file__).parents[2] / "sample_checkpoints"


def command(*words):
    done = subprocess.run(
        [sys.executable, "-m", "mpdviz.cli", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def texts(folder):
    return {path.stem: path.read_text() for path in folder.glob("*.txt")}


@pytest.fixture(scope="module")
def inspected(tmp_path_factory):
    out = tmp_path_factory.mktemp("inspected")
    saved = out / "saved.npz"
    command(
        "inspect", SAMPLES / "mpd_agl.pt", "--limit", 32, "--gradients", "--save", saved, "--out", out / "a"
    )
    command("inspect", saved, "--out", out / "b")
    return texts(out / "a"), texts(out / "b"), out


@pytest.mark.thorough
def test_every_figure_of_a_checkpoint_says_of_what_it_is(inspected):
    found, _, out = inspected
    drawn = {path.stem for path in (out / "a").glob("*.png")}
    assert set(found) == drawn
    assert {"ridge", "ratio_map", "states", "what_if", "predicted", "gradient_norm"} <= drawn
    for stem, text in found.items():
        for said in ("convsnn", "mpd-agl", "T=4", "digits test", "32 samples"):
            assert text.count(said) == 1, (stem, said)
        assert text.endswith(".\n")
        assert len(text.splitlines()) == 1
    assert "layer 3 (features.2)" in found["distribution_layer03"]


@pytest.mark.thorough
def test_a_recording_from_its_file_says_the_same(inspected):
    _, found, _ = inspected
    for stem, text in found.items():
        for said in ("convsnn", "mpd-agl", "T=4", "digits test", "32 samples"):
            assert text.count(said) == 1, (stem, said)


def test_a_recording_that_does_not_know_its_data_says_so():
    with mpdviz.record(LIF()) as recording:
        pass
    assert origin.of(recording.contents).endswith("a recording does not say over which data.")


def test_a_network_without_strategies_claims_none():
    recording = mpdviz.inspect(SAMPLES / "fixed.pt", limit=8)
    assert origin.strategies(recording.contents) == ["fixed:kappa=1"]
    unknown = Contents(recording.layers)
    assert origin.strategies(unknown) == []
    assert "strategy" not in origin.of(unknown)
    assert "n = 8 samples" in origin.of(unknown)


def test_a_figure_without_a_caption_of_its_own_says_its_meaning():
    tables = Tables.of(mpdviz.inspect(SAMPLES / "fixed.pt", limit=8).layers)
    theirs = figures.RecordingFigure("what they show", lambda table: Figure(), lambda table: table)
    figures.FIGURES._loaded["theirs"] = theirs
    figures.FIGURES._places["theirs"] = "unused:unused"
    try:
        assert figures.caption("theirs", tables, "Recorded: x.") == "What they show. Recorded: x."
        assert figures.draw("theirs", tables).get_suptitle() == "What they show"
    finally:
        del figures.FIGURES._loaded["theirs"], figures.FIGURES._places["theirs"]


@pytest.mark.thorough
def test_networks_side_by_side_are_each_named(tmp_path):
    command("compare", SAMPLES / "fixed.pt", SAMPLES / "mpd_agl.pt", "--limit", 20, "--out", tmp_path)
    text = (tmp_path / "compared.txt").read_text()
    for said in ("T=4, strategy fixed, digits test", "T=4, strategy mpd-agl, digits test"):
        assert text.count(said) == 1
    assert text.count("20 samples") == 2
    assert "Thin, hollow" in text


@pytest.mark.thorough
def test_the_strategies_whose_potentials_are_drawn_can_be_named(tmp_path):
    out = tmp_path / "out"
    samples = (SAMPLES / "fixed.pt", SAMPLES / "mpd_agl.pt")
    command("figures", *samples, "--out", out, "--format", "svg", "--limit", 16, "--strategies", "mpd-agl")
    text = (out / "potentials.txt").read_text()
    assert "Not shown: fixed κ = 1." in text
    shown = (out / "potentials.csv").read_text()
    assert "mpd-agl" in shown
    assert "fixed" not in shown
    shutil.rmtree(out)
    words = ["figures", *map(str, samples), "--out", str(out), "--strategies", "lsg"]
    done = subprocess.run([sys.executable, "-m", "mpdviz.cli", *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown strategy 'lsg'" in done.stderr
    assert not out.exists()
