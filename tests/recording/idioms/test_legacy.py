"""Neurons of the SpikingJelly versions that most published repositories use, each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LEGACY = Path(__file__).parents[3] / ".venv" / "legacy"
PROGRAM = """
import json, sys, warnings
sys.path.insert(0, sys.argv[1])
import torch
import mpdviz
from torch import nn

torch.set_num_threads(1)
T = 5
if sys.argv[1].endswith("12"):
    from spikingjelly.clock_driven import functional, neuron
    def make(kind, mode):
        return getattr(neuron, ("MultiStep" if mode == "m" else "") + kind)()
else:
    from spikingjelly.activation_based import functional, neuron
    def make(kind, mode):
        return getattr(neuron, kind)(step_mode=mode)


class Loop(nn.Module):
    def __init__(self, node):
        super().__init__()
        self.node = node

    def forward(self, xs):
        return torch.stack([self.node(x) for x in xs])


results = {}
for kind in ("IFNode", "LIFNode", "ParametricLIFNode", "QIFNode", "EIFNode", "KLIFNode", "IzhikevichNode"):
    for mode in "sm":
        for training in (True, False):
            try:
                node = make(kind, mode)
            except AttributeError:
                continue
            net = (node if mode == "m" else Loop(node)).train(training)
            torch.manual_seed(1)
            x = torch.randn(T, 4, 6).mul(1.5).add(0.5).requires_grad_()
            functional.reset_net(net)
            plain = net(x)
            functional.reset_net(net)
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                with mpdviz.record(net) as mpd:
                    out = net(x)
            (layer,) = mpd.layers.values()
            results[f"{kind} {mode} {training}"] = {
                "same": torch.equal(plain, out),
                "counts": layer.statistics.count.tolist(),
                "spikes": layer.statistics.spikes.tolist(),
                "emitted": (out > 0).flatten(1).sum(1).tolist(),
                "left out": dict(mpd.left_out),
                "v_th": layer.info.v_th,
                "said": [str(w.message) for w in said if w.category.__module__.startswith("mpdviz")],
            }
print(json.dumps(results))
"""


@pytest.mark.thorough
@pytest.mark.parametrize(("version", "least"), [("0.0.0.0.12", 16), ("0.0.0.0.14", 24)])
def test_spikes_by_timestep(version, least):
    folder = LEGACY / f"spikingjelly-{version}"
    if not folder.exists():
        pytest.skip(f"there is no {folder}")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    results = json.loads(run.stdout.splitlines()[-1])
    assert len(results) >= least
    for name, result in results.items():
        assert result["same"], name
        assert result["counts"] == [24] * 5, name
        assert result["spikes"] == result["emitted"], name
        assert 0 < sum(result["spikes"]) < 120, name
        assert (result["left out"], result["v_th"], result["said"]) == ({}, 1, []), name
