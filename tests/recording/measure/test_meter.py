"""When compiled scans measure: alike in every recording of a run, soon in a user's own process."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import mpdviz
from mpdviz import neurons
from mpdviz.recording.measure import meter
from mpdviz.recording.recorder import Recorder


def test_recordings_of_one_recorder_are_measured_alike(monkeypatch):
    """A resumed run begins to count anew, and gives what the uninterrupted one gives, to the last digit."""
    model = nn.Sequential(nn.Linear(32, 300), neurons.LIF())
    x = torch.randn(4, 64, 32) * 2
    monkeypatch.setattr(meter, "SCAN_AFTER", x.numel() // 32 * 300)  # where the second recording would begin
    recorder, means = Recorder(model), []
    for _ in range(2):
        recorder.clear()
        recorder.attach()
        with torch.no_grad():
            model(x)
        recorder.detach()
        means.append(next(iter(recorder.layers.values())).statistics.mean)
    assert means[0].tolist() == means[1].tolist()


@pytest.mark.thorough
def test_a_process_of_ones_own_loads_the_scans_once_they_are_compiled_and_pay(monkeypatch):
    monkeypatch.setattr(meter, "SCAN_AFTER", 0)
    model = nn.Sequential(nn.Linear(2, 3), neurons.LIF())
    with mpdviz.record(model), torch.no_grad():
        model(torch.randn(2, 4, 2))  # from here on they are on disk
    meter.is_compiled.cache_clear()
    assert meter.is_compiled("scan")
    code = """
import sys, torch, mpdviz
from mpdviz import neurons
model = torch.nn.Sequential(torch.nn.Linear(2, 100), neurons.LIF())
with torch.no_grad(), mpdviz.record(model) as recording:
    for potentials in (900_000, 200_000):
        model(torch.randn(10, potentials // 1000, 2))
        print("numba" in sys.modules)
print(sum(recording.table()["count"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "1100000"]
