"""What a user's own functions and arrays do: losses, batches, targets of any kind, modules that read argv."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from mpdviz import data
from mpdviz.errors import BadInput
from mpdviz.inspection import Options, inspect, prepare, theirs

N, T, F, CLASSES = 12, 3, 6, 4
X = np.random.default_rng(0).random((N, T, F), dtype=np.float32) * 4
LABELS = np.arange(N) % CLASSES


def written(path, x=X, **arrays):
    np.savez(path / "data.npz", x=x, **arrays)
    return f"npz:{path / 'data.npz'}"


def network(outputs=CLASSES):
    """Stepped, its state kept by the neurons; it returns spikes and potentials."""
    snn = pytest.importorskip("snntorch")
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(F, outputs), snn.Leaky(0.9, init_hidden=True, output=True)

        def forward(self, x):
            return self.lif(self.fc(x))

    return Net()


def said(path, net=None, x=X, options=None, **arrays):
    inspection = prepare(net or network(), Options(data=written(path, x, **arrays), **(options or {})))
    assert inspection.run().samples == N
    return inspection.notes[0]


def test_accuracy_is_of_class_scores_alone(tmp_path):
    assert f"{N} samples, accuracy " in said(tmp_path, y=LABELS)
    assert "not measured" not in said(tmp_path, y=LABELS)
    assert "accuracy not measured: 500 outputs for 4 classes" in said(tmp_path, network(500), y=LABELS)
    assert "accuracy not measured: no labels" in said(tmp_path)
    assert "accuracy not measured: y holds no class labels" in said(tmp_path, y=np.eye(N))
    named = said(tmp_path, y=np.array(list("abcd"))[LABELS])
    assert ", accuracy " in named
    assert "4 names numbered in their order" in named


@pytest.mark.parametrize("why", ["500 outputs for 4 classes", "no labels"])
def test_gradients_need_a_loss_where_the_output_is_no_class_scores(tmp_path, why):
    arrays = {"y": LABELS} if "500" in why else {}
    with pytest.raises(BadInput, match=rf"`gradients`: {why}; give `loss`"):
        said(tmp_path, network(500), options={"gradients": True}, **arrays)


def test_a_loss_gets_all_that_was_returned_over_time_and_the_targets(tmp_path):
    seen = []

    def membrane(output, target):
        spikes, mem = output
        seen.append((spikes.shape, mem.shape, target.shape, target.dtype))
        return (mem.mean(0) - target).square().mean()

    targets = np.zeros((N, CLASSES))
    recording = inspect(network(), data=written(tmp_path, y=targets), gradients=True, loss=membrane)
    assert seen == [((T, N, CLASSES), (T, N, CLASSES), (N, CLASSES), torch.float32)]
    assert (recording.table()["grad_norm"] > 0).all()

    def targetless(output, target):
        assert target is None
        return output[1].sum()

    assert inspect(network(), data=written(tmp_path), gradients=True, loss=targetless).samples == N


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda output, target: output["x"], "`loss` .*lambda.*: TypeError: "),
        (lambda output, target: output[1], r"`loss` returns \[3, 12, 4\]; let it return one number"),
        (lambda output, target: 3.0, "`loss` returns float"),
        (lambda output, target: output[0].detach().sum(), "`loss` does not depend on the output"),
        ("nowhere", "`loss` nowhere; give package.module:function"),
        ("math:absent", "`loss` math:absent: AttributeError"),
        ("math:pi", "`loss` math:pi is no function"),
    ],
)
def test_losses_that_do_not_work_are_one_line(tmp_path, loss, message):
    with pytest.raises(BadInput, match=message) as caught:
        said(tmp_path, y=LABELS, options={"gradients": True, "loss": loss})
    assert "\n" not in str(caught.value)


def test_a_batch_function_makes_sequences_arguments_or_keywords(tmp_path):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, spikes, scale):
            return torch.stack([self.net(step * scale)[0] for step in spikes])

    vectors = X[:, 0]

    def sequence(x, y):
        assert y.shape == x.shape[:1]
        return torch.stack([x, 2 * x])

    told = said(tmp_path, x=vectors, y=LABELS, options={"batch": sequence})
    assert f"fed 2 steps of [{N}, {F}]" in told
    told = said(tmp_path, Named(), options={"batch": lambda x, y: {"spikes": x, "scale": 2.0}}, y=LABELS)
    assert "fed what `batch` returns (spikes, scale)" in told
    assert ", accuracy " in told
    assert "(2 arguments)" in said(tmp_path, Named(), options={"batch": lambda x, y: [x, 2.0]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": lambda x, y: None}, "`batch` returns an object of type NoneType"),
        ({"batch": lambda x, y: x.nothing}, "`batch` .*: AttributeError: "),
        ({"batch": lambda x, y: (x,), "repeat_input": 2}, "`repeat_input` with arguments that `batch` makes"),
        ({"batch": lambda x, y: {"y": x}}, r"does not take what `batch` returns \(TypeError"),
        ({"key": "net"}, "`key` without weights"),
        ({"loss": "math:sin"}, "`loss` without `gradients`"),
    ],
)
def test_options_that_do_not_fit_are_one_line(tmp_path, options, message):
    with pytest.raises(BadInput, match=message):
        said(tmp_path, y=LABELS, options=options)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of the user's, and name a function of it."""
    monkeypatch.chdir(tmp_path)
    names = []

    def write(name, code):
        (tmp_path / f"{name}.py").write_text(code)
        names.append(name)
        return f"{name}:build"

    yield write
    for name in names:
        sys.modules.pop(name, None)


READS = """
import argparse
import sys
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1{required})
options = parser.parse_args()
print("loading", file=sys.stderr)
print("to stdout")

def build():
    import torch
    assert len(sys.argv) == 1
    return torch.nn.Linear(1, 1)
"""


def test_a_module_that_reads_the_command_line_sees_an_empty_one(module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mpdviz", "inspect", "--model", "x:y"])
    before = list(sys.path)
    assert isinstance(theirs.build(module("reads", READS.format(required=""))), nn.Linear)
    assert sys.argv == ["mpdviz", "inspect", "--model", "x:y"]
    assert sys.path == before
    printed = capsys.readouterr()
    assert (printed.out, sorted(printed.err.split("\n"))) == ("", ["", "loading", "to stdout"])


def test_a_module_that_ends_the_program_is_one_line(module, capsys):
    with pytest.raises(BadInput, match=r"`model` needs:build ends the program: .*required: --lr"):
        theirs.build(module("needs", READS.format(required=", required=True")))
    with pytest.raises(BadInput, match="ends the program: exit code 3"):
        theirs.build(module("leaves", "import sys\nsys.exit(3)"))
    assert capsys.readouterr().err == ""


def test_files_are_taken_as_they_are_only_where_that_was_asked_for(tmp_path):
    for x, frames in ((X[:, 0], False), (X, True), (X[..., None], False), (X.reshape(N, 1, T, 2, 3), True)):
        dataset = data.load(written(tmp_path, x), as_it_is=True)
        assert (dataset.frames, dataset.classes, dataset.split("all").y.shape) == (frames, 0, (N, 0))
        np.testing.assert_array_equal(dataset.split("all").x, x)
    with pytest.raises(BadInput, match="no array y"):
        data.load(written(tmp_path, X[..., None]))
    with pytest.raises(BadInput, match="2 high and 3 wide"):
        data.load(written(tmp_path, X.reshape(N, 1, T, 2, 3), y=LABELS))


@pytest.mark.parametrize(
    ("y", "kind", "classes"),
    [
        (LABELS, torch.int64, 4),
        (LABELS > 1, torch.int64, 2),
        (LABELS - 1, torch.int64, 0),
        (np.eye(N, dtype=int), torch.int64, 0),
        (LABELS / 2, torch.float32, 0),
        (np.array(list("dcba"))[LABELS], torch.int64, 4),
    ],
)
def test_targets_are_of_any_kind(tmp_path, y, kind, classes):
    dataset = data.load(written(tmp_path, y=y), as_it_is=True)
    whole = dataset.split("all").y
    assert (whole.dtype, dataset.classes) == (kind, classes)
    expected = np.unique(y, return_inverse=True)[1] if y.dtype.kind == "U" else y
    np.testing.assert_allclose(whole, expected.astype(float))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (LABELS[:5], "x has 12 samples and y 5"),
        (np.float32(3), "y one for all"),
        (LABELS * 1j, "y has dtype complex128"),
        (np.array([["a"]] * N), "y holds text, shape"),
    ],
)
def test_targets_that_cannot_be_are_one_line(tmp_path, y, message):
    with pytest.raises(BadInput, match=message):
        data.load(written(tmp_path, y=y), as_it_is=True)
