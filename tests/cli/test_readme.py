"""Every command and example of the README and the guide runs as it is shown, and prints what is shown."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import commands
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
GUIDE = (
    "inspect",
    "advise",
    "networks",
    "train",
    "data",
    "compare",
    "paper",
    "report",
    "library",
    "command-line",
)
"""In an order in which later pages use what commands of earlier ones have made."""
PAGES = [ROOT / "README.md", *(ROOT / "docs" / "guide" / f"{name}.md" for name in GUIDE)]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line]
MPDVIZ = [line for line in COMMANDS if line.startswith("mpdviz ")]


OWN = """
import torch
from mpdviz import neurons


class Net(torch.nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.one, self.lif, self.two = torch.nn.Linear(16, hidden), neurons.LIF(), torch.nn.Linear(hidden, 2)

    def forward(self, x):
        return self.two(self.lif(self.one(x.flatten(2))))


def build_model(hidden=32):
    return Net(hidden)
"""


HANDWRITTEN = next(block for block in blocks("python") if "class Net" in block).split("with mpdviz")[0]
"""The network whose spikes are written by hand, up to where it is recorded."""


@pytest.fixture
def folder(tmp_path_factory):
    """A folder with what a clone has beside the package, for commands that name it."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("sample_checkpoints", "tests"):
        (folder / name).symlink_to(ROOT / name)
    for block in blocks("toml"):
        (folder / block.split("\n", 1)[0].removeprefix("# ")).write_text(block)
    for block in blocks("python"):
        if found := re.match(r"# (\w+\.py)\n", block):
            (folder / found[1]).write_text(block)
    (folder / "nets.py").write_text(OWN)
    (folder / "my_project.py").write_text(HANDWRITTEN + "images = torch.randn(100, 64) * 2\n")
    rng = np.random.default_rng(0)
    for name, shape in (("images", (8, 1, 4, 4)), ("frames", (8, 3, 1, 4, 4))):
        np.savez(folder / f"{name}.npz", x=rng.standard_normal(shape).astype(np.float32), y=np.arange(8) % 2)
    made = {}
    exec(OWN, made)
    torch.save(made["build_model"](64).state_dict(), folder / "weights.pth")
    return folder


def test_every_command_has_a_test_here():
    others = {"make demo", "make test", "make lint", "pip install ."}
    assert set(COMMANDS) == set(MPDVIZ) | others


SMALL = "--model convsnn:encode_channels=8:planes=8-8"
TRAINS = [line for line in MPDVIZ if re.match(r"mpdviz (train|compare --(strategies|vary|arms))", line)]
SHORTER = dict.fromkeys((line for line in TRAINS if "model" not in line and "--recipe" not in line), SMALL)
SHORTER |= {"mpdviz train --out runs/digits": f"{SMALL} --epochs 2", "mpdviz bench neurons": "--help"}
"""What all but the slow suite give commands beside what is shown, which takes them minutes."""


# One test, in the order of the README: later commands continue what earlier ones made.
@pytest.mark.thorough
@pytest.mark.parametrize("shorter", [SHORTER, pytest.param({}, marks=pytest.mark.slow)])
def test_mpdviz_commands(folder, shorter):
    for line in MPDVIZ:
        done = commands.mpdviz(*shlex.split(f"{line} {shorter.get(line, '')}")[1:], cwd=folder)
        assert done.returncode == 0, f"{line}\n{done.stderr.decode()}"
        assert done.stdout
    assert (folder / "figures" / "distribution_layer03.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "runs" / "digits" / "metrics.csv").exists()
    assert len(list((folder / "paper").glob("*.pdf"))) == 8


@pytest.mark.thorough
@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_examples(folder, number):
    example = blocks("python")[number]
    for framework in re.findall(
        r"^(?:import|from) (spikingjelly|snntorch|norse|pytorch_lightning)", example, re.MULTILINE
    ):
        if find_spec(framework) is None:
            pytest.skip(f"{framework} is not installed")
    command = [sys.executable, "-c", example]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # A file to import says nothing.
    assert example.startswith("# ") or re.search("available|starved|recording|%", done.stdout)
    behind = TEXT[TEXT.index(example) + len(example) + len("```") :]
    if shown := re.match(r"\s*```\n(.*?)```", behind, re.DOTALL):
        assert done.stdout == shown[1]


@pytest.mark.parametrize("shown", blocks("console"))
def test_what_is_shown_is_what_is_printed(folder, shown):
    line, output = shown.removeprefix("$ ").split("\n", 1)
    done = commands.mpdviz(*shlex.split(line)[1:], cwd=folder)
    assert done.returncode == 0
    assert done.stdout.decode() == output


def test_the_guide_has_every_page_and_no_dead_link():
    assert {page.stem for page in (ROOT / "docs" / "guide").glob("*.md")} == set(GUIDE)
    for page in [*PAGES, *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert link.startswith("http") or (page.parent / link).exists(), (page, link)


@pytest.mark.slow  # test_habits.py has the same command with fewer epochs
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_demo_names_what_it_leaves(tmp_path):
    # The environment that runs this test stands in for the one that `make demo` would set up.
    environment = tmp_path / "venv"
    environment.mkdir()
    (environment / "installed").touch()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    demo = tmp_path / "demo"
    command = ["make", "demo", f"VENV={environment}", f"DEMO={demo}"]
    # Under `make test` this make would think it is a part of that one, and print where it goes.
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "mpd-agl against fixed: " in said
    assert f"report: {demo / 'report.html'}; open it in a browser" in said
    for strategy in ("fixed", "mpd-agl"):
        folder = demo / strategy / "inspect"
        assert str(folder) in said
        assert (folder / "table.csv").exists()
        assert len(list(folder.glob("*.png"))) == 6 + 5  # of the network, of its layers
    assert (demo / "report.html").exists()
    assert (demo / "compare" / "compared.png").exists()


@pytest.mark.thorough
def test_plain_install(tmp_path):
    # Build tools come from this environment: the test must not need a network.
    target = tmp_path / "site"
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target), "."]
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("mpdviz", "cli", "sample_checkpoints"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    subprocess.run([sys.executable, "-m", "pip", *install], cwd=copy, check=True)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    script = "import mpdviz.cli, mpdviz.networks, sys; print(mpdviz.cli.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(target) in done.stdout
    assert not (target / "cli").exists()
    for name in ("recipes/cifar10.toml", "report/page/report.js"):
        assert (target / "mpdviz" / name).exists()
    listed = subprocess.run(
        [sys.executable, "-m", "mpdviz", "list", "samples"],
        cwd=tmp_path,
        env=environment | {"COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("fixed", "mpd_agl"):
        assert f"{target}/mpdviz/sample_checkpoints/{name}.pt" in listed.stdout
    command = ["-m", "mpdviz", "inspect", "sample:fixed", "--limit", "4", "--out", "seen"]
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "seen" / "ratio_map.png").stat().st_size
