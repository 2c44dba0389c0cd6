"""Networks of the user's own on the command line: built by their code, with weights as people keep them."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mpdviz.cli import entry

import mpdviz
from mpdviz import checkpoint
from mpdviz.errors import BadInput
from mpdviz.inspection import Options, prepare
from mpdviz.inspection.theirs import build

T, N = 4, 10
GOLDEN = Path(__file__).parents[1] / "golden"
CODE = """
import torch
from torch import nn


def jelly(step_mode="m", hidden=12):
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    net = nn.Sequential(
        layer.Flatten(), layer.Linear(18, hidden), neuron.LIFNode(surrogate_function=surrogate.ATan()),
        layer.Linear(hidden, 3), neuron.IFNode(v_reset=None),
    )
    functional.set_step_mode(net, step_mode)
    return net


class Torchy(nn.Module):
    def __init__(self):
        super().__init__()
        import snntorch as snn

        self.one, self.two = nn.Linear(18, 12), nn.Linear(12, 3)
        self.lif1, self.lif2 = snn.Leaky(0.8), snn.Leaky(0.8)

    def forward(self, x):
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        out = []
        for _ in range(4):
            spikes, mem1 = self.lif1(self.one(x.flatten(1)), mem1)
            spikes, mem2 = self.lif2(self.two(spikes), mem2)
            out.append(spikes)
        return torch.stack(out), mem2


class Norsy(nn.Module):
    def __init__(self):
        super().__init__()
        import norse.torch as norse

        self.one, self.lif = nn.Linear(18, 12), norse.LIF()

    def forward(self, x):
        return self.lif(self.one(x.flatten(2)) * 30)[0][..., :3]


def hidden():
    import snntorch as snn

    return nn.Sequential(nn.Flatten(), nn.Linear(18, 3), snn.Leaky(0.8, init_hidden=True))


def broken():
    raise ValueError("no such thing")


def plain():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(3))


def number():
    return 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's folder: their module, images and frames, weights of `jelly` in several wrappings."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "nets.py").write_text(CODE)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, N)
    np.savez(folder / "images.npz", x=3 * rng.standard_normal((N, 2, 3, 3)).astype(np.float32), y=y)
    np.savez(folder / "frames.npz", x=3 * rng.standard_normal((N, T, 2, 3, 3)).astype(np.float32), y=y)
    return folder


def inspect(folder, *options):
    command = [sys.executable, "-m", "mpdviz.cli", "inspect", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def table(done):
    assert done.returncode == 0, done.stderr
    return pd.read_csv(io.StringIO(done.stdout))


@pytest.fixture
def nets(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    import nets

    return nets


@pytest.fixture
def jelly(nets):
    pytest.importorskip("spikingjelly")
    torch.manual_seed(0)
    return nets.jelly


WRAPPINGS = {
    "plain": lambda state: state,
    "net": lambda state: {"net": state, "epoch": 3},
    "state_dict": lambda state: {"state_dict": state},
    "module.": lambda state: {f"module.{name}": value for name, value in state.items()},
    "both": lambda state: {"net": {f"module.{name}": value for name, value in state.items()}},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_weights_are_found_in_their_wrapping(folder, jelly, tmp_path, wrapping):
    given, taken = jelly(), jelly()
    path = tmp_path / "weights.pth"
    torch.save(WRAPPINGS[wrapping](given.state_dict()), path)
    assert checkpoint.fill_any(taken, path, key=None, prefix=None) == ()
    for name, value in given.state_dict().items():
        assert torch.equal(taken.state_dict()[name], value)


@pytest.mark.thorough
def test_images_are_repeated_and_the_counts_are_those_of_record(folder, jelly):
    from spikingjelly.activation_based import functional

    made = jelly()
    torch.save({"net": made.state_dict()}, folder / "jelly.pth")
    options = ["--data", "npz:images.npz", "--repeat-input", "4", "--format", "csv", "--batch-size", "4"]
    found = {
        mode: table(
            inspect(
                folder, "jelly.pth", "--model", "nets:jelly", "--model-args", f"step_mode={mode}", *options
            )
        )
        for mode in "ms"
    }
    x = torch.from_numpy(np.load(folder / "images.npz")["x"])
    with mpdviz.record(made.eval()) as mpd:
        for batch in x.split(4):
            functional.reset_net(made)
            made(batch.expand(4, *batch.shape))
    for columns in ("available_ratio", "reach_ratio", "firing_rate", "count"):
        for mode in "ms":
            np.testing.assert_allclose(found[mode][columns], mpd.table()[columns], rtol=1e-9)
    assert found["m"]["name"].unique().tolist() == [2, 4]


@pytest.mark.thorough
def test_frames_go_in_as_sequences_or_step_by_step(folder, jelly):
    for mode in "ms":
        options = ["--model", "nets:jelly", "--model-args", f"step_mode={mode}", "--data", "npz:frames.npz"]
        done = inspect(folder, *options, "--format", "csv", "--layer", "2")
        assert table(done)["timestep"].tolist() == [1, 2, 3, 4]
        assert "fresh weights" in done.stderr
        assert "accuracy" in done.stderr


@pytest.mark.thorough
def test_a_snntorch_network_that_loops_over_time_itself(folder):
    pytest.importorskip("snntorch")
    options = ["--model", "nets:Torchy", "--data", "npz:images.npz", "--gradients", "--format", "csv"]
    found = table(inspect(folder, *options))
    assert found["count"].tolist() == [N * 12] * 4 + [N * 3] * 4
    assert found["grad_norm"].notna().all()
    stepped = inspect(folder, "--model", "nets:hidden", "--data", "npz:frames.npz", "--format", "csv")
    assert table(stepped)["count"].tolist() == [N * 3] * T


def test_a_norse_layer_takes_sequences(folder):
    pytest.importorskip("norse")
    options = ["--model", "nets:Norsy", "--data", "npz:frames.npz", "--time-axis", "0", "--format", "csv"]
    assert table(inspect(folder, *options))["count"].tolist() == [N * 12] * T


@pytest.mark.thorough
def test_check_and_figures_work_on_them(folder, jelly, tmp_path):
    own = ["--model", "nets:jelly", "--data", "npz:frames.npz"]
    done = inspect(folder, *own, "--out", str(tmp_path / "out"), "--save", str(tmp_path / "own.npz"))
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "out").glob("*.png"))
    command = [sys.executable, "-m", "mpdviz.cli", "check", *own, "--format", "json"]
    judged = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert judged.returncode in (0, 1)
    assert json.loads(judged.stdout)
    assert len(mpdviz.load_recording(tmp_path / "own.npz").table()) == 2 * T


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "nets"], "package.module:function"),
        (["--model", "absent:jelly"], "No module named 'absent'"),
        (["--model", "nets:absent"], "has no attribute 'absent'"),
        (["--model", "nets:broken"], "ValueError: no such thing"),
        (["--model", "nets:plain"], "no layer of the model could be read"),
        (["--model", "nets:number"], "returns an object of type int"),
        (["--model", "nets:plain", "--model-args", "3"], "give name=value"),
        (["--model", "nets:plain", "--model-args", "x=3"], "unexpected keyword argument 'x'"),
        (["--model", "nets:plain", "--decay", "0.3"], "--decay with --model"),
        (["--model", "nets:hidden", "--time-axis", "3"], "--time-axis with data that have no time"),
        (["--model", "nets:hidden"], "give --repeat-input T"),
        (["--repeat-input", "3", "absent.pt"], "--repeat-input without --model"),
        (["--model", "nets:plain", "absent.pt"], "absent.pt"),
        ([], "no checkpoint"),
    ],
)
def test_mistakes_get_one_line(folder, nets, monkeypatch, capsys, options, said):
    del nets  # only so that its folder is the current one
    arguments = ["inspect", *options, "--data", "npz:images.npz", "--out", "never"]
    monkeypatch.setattr(sys, "argv", ["mpdviz", *arguments])
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as ended:
        entry.run()
    assert ended.value.code == 2
    told = " ".join(capsys.readouterr().err.split())
    assert said in told
    assert told.count("mpdviz: ") == 1
    assert not (folder / "never").exists()


def test_a_missing_framework_names_its_extra(nets, monkeypatch):
    monkeypatch.setitem(sys.modules, "snntorch", None)
    with pytest.raises(BadInput, match=r"pip install 'mpdviz\[snntorch\]'"):
        build("nets:hidden")


def test_data_that_do_not_fit_are_told(folder, jelly, tmp_path):
    np.savez(tmp_path / "wide.npz", x=np.zeros((4, T, 2, 5, 5), np.float32), y=np.arange(4) % 3)
    done = inspect(folder, "--model", "nets:jelly", "--data", f"npz:{tmp_path / 'wide.npz'}")
    assert done.returncode == 2
    assert "the model does not take an input [4, N, 2, 5, 5]" in done.stderr


def test_weights_of_another_network_are_told(jelly, tmp_path):
    torch.save(jelly(hidden=5).state_dict(), tmp_path / "other.pth")
    with pytest.raises(BadInput, match="where"):
        checkpoint.fill_any(jelly(), tmp_path / "other.pth", key=None, prefix=None)


def test_arguments_are_values_as_in_toml_or_text(nets, monkeypatch):
    got = {}
    monkeypatch.setattr(nets, "plain", lambda **given: got.update(given) or torch.nn.Linear(1, 1))
    build("nets:plain", ["a=3", "b=0.5", "c=true", "d=word", "e=[1, 2]"])
    assert got == {"a": 3, "b": 0.5, "c": True, "d": "word", "e": [1, 2]}


def test_fresh_weights_are_the_same_at_every_call(nets, jelly):
    del nets
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build("nets:jelly")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again = build("nets:jelly")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_time_may_lie_on_the_second_axis(tmp_path):
    class Second(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lif = mpdviz.neurons.LIF()

        def forward(self, x):
            assert x.shape[1] == T
            return self.lif(x.movedim(1, 0)).flatten(2).movedim(0, 1)

    x = np.random.default_rng(0).standard_normal((N, T, 2, 1, 1)).astype(np.float32)
    np.savez(tmp_path / "frames.npz", x=x, y=np.arange(N) % 2)
    model = Second().train()
    inspection = prepare(model, Options(data=f"npz:{tmp_path / 'frames.npz'}", time_axis=1, batch_size=N))
    assert inspection.timesteps == T
    assert inspection.run().samples == N
    assert "accuracy" in inspection.notes[0]
    assert "not measured" not in inspection.notes[0]
    assert model.training


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["resnet19_slim", "vggsnn_slim"])
def test_a_released_checkpoint_is_converted(tmp_path, name):
    path, out = GOLDEN / f"{name}_best_model.pth", tmp_path / "new" / "out.pt"
    command = [sys.executable, "-m", "mpdviz.cli", "convert", str(path), str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--strategy mpd-agl" in done.stderr
    ours, theirs = checkpoint.load(out), checkpoint.load(path)
    assert (ours.config, ours.metrics) == (None, theirs.metrics)
    assert ours.architecture.to_dict() == theirs.architecture.to_dict()
    for key, value in theirs.network.state_dict().items():
        assert torch.equal(ours.network.state_dict()[key], value)
    before = out.read_bytes()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2
    assert "exists" in again.stderr
    assert out.read_bytes() == before


def test_what_is_ours_already_is_not_converted(tmp_path):
    ours = GOLDEN.parents[1] / "sample_checkpoints" / "fixed.pt"
    command = [sys.executable, "-m", "mpdviz.cli", "convert", str(ours), str(tmp_path / "out.pt")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "already" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.thorough
def test_recordings_of_two_frameworks_are_compared(folder, jelly, tmp_path):
    pytest.importorskip("snntorch")
    for name, own, options in (
        ("jelly", "nets:jelly", ["--repeat-input", "4"]),
        ("torchy", "nets:Torchy", []),
        ("fewer", "nets:Torchy", ["--limit", "6"]),
    ):
        save = ["--data", "npz:images.npz", "--save", str(tmp_path / f"{name}.npz"), "--format", "csv"]
        assert inspect(folder, "--model", own, *save, *options).returncode == 0

    def compared(*names):
        paths = [str(tmp_path / f"{name}.npz") for name in names]
        command = [sys.executable, "-m", "mpdviz.cli", "compare", *paths, "--format", "csv"]
        return subprocess.run(command, capture_output=True, text=True)

    sides = pd.read_csv(io.StringIO(compared("jelly", "torchy").stdout))
    assert sides["checkpoint"].tolist() == ["jelly", "torchy"] * 2
    for name in ("jelly", "torchy"):
        rates = mpdviz.load_recording(tmp_path / f"{name}.npz").table().groupby("layer")["firing_rate"].mean()
        np.testing.assert_allclose(sides.query("checkpoint == @name")["firing_rate"], rates)
    refused = compared("jelly", "fewer")
    assert refused.returncode == 2
    assert "the number of samples: jelly has 10, fewer has 6" in refused.stderr
