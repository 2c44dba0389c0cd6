"""What users of command lines take for granted: versions, help, completion, folders, notes said once."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import commands
import pytest
from mpdviz.cli import completion, main, output
from mpdviz.cli.app import app, versions
from places import BEST, train
from terminals import ROOT, on_terminal
from typer.main import get_command

from mpdviz import (
    data,
    load_checkpoint,
    losses,
    networks,
    neurons,
    norm,
    regularizers,
    strategies,
    surrogates,
)
from mpdviz.kernels import backends
from mpdviz.system.places import samples
from mpdviz.training.sinks import SINKS

COMMANDS = ["", *main.COMMANDS]


def test_the_version_is_told_without_torch(mpdviz):
    told = versions()
    assert told == f"mpdviz {version('mpdviz')} (torch {version('torch')}, Python {sys.version.split()[0]})"
    script = (
        "import sys; sys.argv = ['mpdviz', '--version']\n"
        "from mpdviz.cli.entry import run\n"
        "try: run()\n"
        "finally: print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [told, "[]"]


@pytest.mark.thorough
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_and_cuts_no_word(command):
    for width in (60, 80):
        seen = on_terminal(*command.split(), "--help", columns=width)
        assert seen.code == 0
        assert all(len(line) <= width for line in seen.drawn)
        assert not re.search("<[a-z]+>|<list", seen.plain)
    words = {word for line in seen.lines for word in re.split(r"[\s│╭╮╰╯─]+", line)}
    root = get_command(app)
    chosen = root.commands[command] if command else root
    for parameter in chosen.params:
        assert set((getattr(parameter, "help", None) or "").split()) <= words, parameter.name


def test_a_shell_completes_options_and_values():
    script = "import sys; sys.argv = ['mpdviz']; from mpdviz.cli.entry import run; run()"
    for typed, expected in (
        ("mpdviz ins", "inspect"),
        ("mpdviz train --strategy mpd", "mpd-agl"),
        ("mpdviz inspect --format mark", "markdown"),
        ("mpdviz list str", "strategies"),
        ("mpdviz check --data dig", "digits"),
    ):
        asked = {"_MPDVIZ_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": typed}
        command = [sys.executable, "-c", script]
        done = subprocess.run(
            command, env=os.environ | asked, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert expected in done.stdout, (typed, done.stderr)


def test_completion_knows_the_registries():
    registries = {
        "strategies": strategies.STRATEGIES,
        "surrogates": surrogates.SHAPES,
        "neurons": neurons.NEURONS,
        "networks": networks.NETWORKS,
        "data": data.DATA,
        "norms": norm.NORMS,
        "losses": losses.LOSSES,
        "regularizers": regularizers.REGULARIZERS,
        "sinks": SINKS,
    }
    for group, registry in registries.items():
        assert completion.names(group)("") == list(registry), group
    assert completion.names("kernels")("") == ["auto", *backends.KERNELS]
    assert completion.names(("pdf", "png"), several=True)("pdf,p") == ["pdf,pdf", "pdf,png"]


def test_a_note_is_said_once_a_process(capsys):
    output.begin()
    for _ in range(2):
        output.note("note:", "the same")
    output.note("note:", "another")
    assert capsys.readouterr().err.splitlines() == ["note: the same", "note: another"]
    output.begin()
    output.note("note:", "the same")
    assert capsys.readouterr().err


# Folders where a checkpoint is taken


def test_a_run_folder_is_its_best_checkpoint(place, mpdviz):
    data_of = ("--data", "npz:data.npz", "--format", "json")
    for command in ("inspect", "check"):
        assert mpdviz(command, "run", *data_of)[:2] == mpdviz(command, BEST, *data_of)[:2]
    shutil.copytree("run", "other")
    status, out, _ = mpdviz("compare", "run", "other")
    assert status == 0
    assert out.startswith("other against run: ")
    status, _, lines = mpdviz("convert", "run", "new.pt")
    assert (status, lines) == (2, ["mpdviz: run is a checkpoint of mpdviz already; use it as it is"])
    assert load_checkpoint("run").config == load_checkpoint(BEST).config


@pytest.mark.thorough
def test_a_folder_of_runs_is_drawn_and_compared(place, mpdviz):
    Path("runs").mkdir()
    for seed in (0, 1):
        assert mpdviz(*train()[:-2], "--seed", seed, "--out", f"runs/seed{seed}")[0] == 0
    status, out, _ = mpdviz("figures", "runs", "--out", "paper", "--limit", 6, "--format", "svg")
    assert status == 0
    files = [path for path in Path("paper").iterdir() if path.name != ".mpdviz"]
    assert out == f"wrote {len(files)} files to paper\n"
    assert (
        "seeds 0, 1" in Path("paper/curves.txt").read_text()
        or "n = 2" in Path("paper/curves.txt").read_text()
    )
    assert mpdviz("compare", "runs")[1].startswith("seed1 against seed0: ")


def test_labels_are_as_short_as_tells_them_apart():
    from mpdviz.compare.side_by_side import _labels

    best = Path("checkpoints", "best.pt")
    for paths, labels in (
        (["runs/a/seed-0", "runs/b/seed-0"], ["a/seed-0", "b/seed-0"]),
        (["sample:fixed", "sample:mpd_agl"], ["fixed", "mpd_agl"]),
        (["one.npz", "runs/two" / best], ["one", "two"]),
    ):
        assert _labels(list(map(Path, paths))) == labels


@pytest.mark.thorough
def test_a_comparison_is_collected(place, mpdviz):
    words = ("compare", "--strategies", "fixed", "--seeds", "0", *train()[1:-2], "--out", "study")
    assert mpdviz(*words)[0] == 0
    status, out, lines = mpdviz("compare", "study")
    assert status == 0
    assert "test accuracy" in out
    assert "wrote 3 files to study" in lines


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "it is empty"),
        (lambda path: (path / "notes.txt").touch(), "it holds notes.txt"),
        (lambda path: (path / "config.toml").touch(), "finished no epoch yet"),
        (lambda path: shutil.copytree("run", path / "one"), "it holds runs; give one of here/one"),
    ],
)
def test_a_folder_without_a_best_checkpoint_says_what_is_there(place, mpdviz, make, said):
    Path("here").mkdir()
    make(Path("here"))
    for command in ("inspect", "check"):
        status, out, lines = mpdviz(command, "here")
        assert (status, out, len(lines)) == (2, "", 1)
        assert lines[0].startswith("mpdviz: here has no checkpoints/best.pt; ")
        assert said in lines[0]


def test_samples_have_names(mpdviz):
    assert set(samples()) == {"fixed", "mpd_agl"}
    _, named, _ = mpdviz("inspect", "sample:fixed", "--limit", 32, "--format", "csv")
    assert named == mpdviz("inspect", samples()["fixed"], "--limit", 32, "--format", "csv")[1]
    status, _, lines = mpdviz("inspect", "sample:fxed")
    assert status == 2
    assert "did you mean 'fixed'?" in lines[0]


@pytest.mark.thorough
def test_the_demo_leaves_tables_figures_and_a_report(tmp_path):
    done = commands.mpdviz("demo", "--out", tmp_path / "demo", "--epochs", 1)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stdout.decode()
    assert said.startswith("mpd-agl against fixed: available shares differ most in layer ")
    assert "report.html; open it in a browser" in said.replace("\n", " ")
    demo = tmp_path / "demo"
    for name in ("fixed/inspect/table.csv", "mpd-agl/inspect/ratio_map.png", "compare/compared.png"):
        assert (demo / name).stat().st_size
    assert "<html" in (demo / "report.html").read_text()[:500]
    again = commands.mpdviz("demo", "--out", demo, "--epochs", 1)
    assert again.stdout == done.stdout


def test_the_demo_writes_over_nothing_of_others(place, mpdviz):
    Path("demo").mkdir()
    Path("demo/report.html").write_text("mine")
    status, _, lines = mpdviz("demo", "--epochs", 1)
    assert (status, len(lines)) == (2, 1)
    assert not Path("demo/fixed").exists()
