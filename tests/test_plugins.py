"""A package of somebody else's adds a strategy, a surrogate and an adapter without touching this one."""

import json
import os
import subprocess
import sys

import pytest
from networks import TINY

STRATEGY = """
import torch
from mpdviz.strategies import Response, Strategy
from mpdviz.surrogates import ATan, Rectangular


class Narrowing(Strategy):
    "Width from 2 to 1 over training; the first timestep gets another shape."

    name, scope, source = "narrowing", "network", "a test"
    follows_training = True

    def widths(self, situation):
        return torch.full((situation.timesteps,), 2.0 - situation.progress)

    def respond(self, situation, follow):
        others = [Rectangular()] * (situation.timesteps - 1)
        return Response(self.widths(situation), [ATan(), *others])
"""
ADAPTER = """
import torch
from torch import nn
from mpdviz.recording.adapters import Adapter, Potentials
from mpdviz.surrogates import Rectangular
from mpdviz.surrogates.probed import of_derivative, shifted


class Fires(nn.Module):
    "Fires where its input is at least 1; keeps nothing. No spike function tells."

    def forward(self, current):
        return (current >= 1).to(current.dtype)


class FiresAdapter(Adapter):
    decay, carries = 0.0, (True, False)

    @classmethod
    def adapt(cls, module):
        return cls(module) if isinstance(module, Fires) else None

    def start(self, call):
        return "rest"

    def potentials(self, call, output, epsilon):
        (v,) = call.inputs
        function = of_derivative(Rectangular(), like=v, epsilon=epsilon)
        return Potentials(v, output, shifted(function, 1.0))
"""
PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "guest"
version = "1"

[project.entry-points."mpdviz.strategies"]
narrowing = "guest.strategy:Narrowing"
fixed = "guest.strategy:Narrowing"
broken = "guest.nowhere:Nothing"
odd = "guest.adapter:Fires"

[project.entry-points."mpdviz.adapters"]
guest = "guest.adapter:FiresAdapter"

[tool.setuptools]
packages = ["guest"]
"""


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    """The package installed into a folder of its own, which a fresh Python finds."""
    folder = tmp_path_factory.mktemp("guest")
    (folder / "guest").mkdir()
    for name, text in {"__init__": "", "strategy": STRATEGY, "adapter": ADAPTER}.items():
        (folder / "guest" / f"{name}.py").write_text(text)
    (folder / "pyproject.toml").write_text(PROJECT)
    installed = folder / "installed"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", installed]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, folder], check=True)

    def run(code):
        env = {**os.environ, "PYTHONPATH": str(installed)}
        words = [sys.executable, "-c", f"import json\n{code}"]
        done = subprocess.run(words, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_a_strategy_of_theirs_sets_width_and_shape_by_training_s_progress(guest):
    code = """
import torch, mpdviz
network = mpdviz.networks.build("convsnn", strategy="narrowing", timesteps=3, num_classes=2)
seen = []
def look(current, v, spikes, kappa, v_th, shapes):
    seen.append((kappa.tolist(), [shape.name for shape in shapes]))
network.encode.neuron.observers.append(look)
for progress in (0.0, 0.25):
    network.stage = (0, progress)
    network(torch.zeros(1, 1, 8, 8))
print(json.dumps(seen))
"""
    shapes = ["atan", "rectangular", "rectangular"]
    assert guest(code) == [[[2.0] * 3, shapes], [[1.75] * 3, shapes]]


def test_ours_cannot_be_replaced_and_what_is_broken_is_said_in_one_line(guest):
    code = """
from mpdviz import strategies
from mpdviz.errors import BadInput
said = [type(strategies.get("fixed")).__module__, "narrowing" in strategies.STRATEGIES]
for name in ("broken", "odd", "narowing"):
    try:
        strategies.get(name)
    except BadInput as error:
        said.append(str(error))
print(json.dumps(said))
"""
    ours, there, broken, odd, misspelt = guest(code)
    assert ours == "mpdviz.strategies.fixed"
    assert there is True
    assert broken.startswith("strategy 'broken' of guest.nowhere:Nothing cannot be loaded: No module named")
    assert odd.startswith("strategy 'odd' of guest.adapter:Fires is no Strategy; ")
    assert "did you mean 'narrowing'" in misspelt


def test_neurons_of_theirs_are_read(guest):
    code = """
import torch, mpdviz
from guest.adapter import Fires
model = torch.nn.Sequential(Fires())
x = torch.tensor([0.4, 0.5, 1.0, 1.4, 1.5, 9.0]).reshape(2, 3, 1)
with mpdviz.record(model) as recording:
    model(x)
table = recording.table()
print(json.dumps([table[c].tolist() for c in ("count", "available_ratio", "firing_rate")]))
"""
    # Inside (0.5, 1.5): 1.0 of the first three, 1.4 of the last.
    counts, available, firing = guest(code)
    assert counts == [3, 3]
    assert available == pytest.approx([1 / 3, 1 / 3])
    assert firing == pytest.approx([1 / 3, 1])


@pytest.mark.thorough
def test_training_tells_them_where_it_stands_and_a_resumed_run_is_the_same(guest, tmp_path):
    code = f"""
import torch, mpdviz
from mpdviz.errors import Interrupted
from mpdviz.training.run import Run
from mpdviz.config import validate
from pathlib import Path
import signal
settings = dict(strategy="narrowing", epochs=2, timesteps=2, model="{TINY}", batch_size=400)
out = Path({str(tmp_path)!r})
whole = mpdviz.train(**settings, out=out / "whole")
try:
    def stop(now):
        if (now.epoch, now.step) == (1, 2):
            signal.raise_signal(signal.SIGTERM)
    Run(validate(settings), out / "parts").fit(on_step=stop)
except Interrupted:
    parts = mpdviz.train(**settings, out=out / "parts", resume=True)
widths = [(out / name / "widths.csv").read_text() for name in ("whole", "parts")]
states = [mpdviz.load_checkpoint(out / name / "checkpoints" / "last.pt") for name in ("whole", "parts")]
same = all(torch.equal(a, b) for a, b in zip(*(s.network.state_dict().values() for s in states)))
kappas = sorted({{line.split(",")[4] for line in widths[0].splitlines()[1:]}})
print(json.dumps([widths[0] == widths[1], same, kappas, [s.network.stage for s in states]]))
"""
    tables, weights, kappas, stages = guest(code)
    assert tables
    assert weights
    assert kappas == ["1.0", "1.5"]  # after the first of two epochs, and the second
    assert stages == [[2, 1.0], [2, 1.0]]
