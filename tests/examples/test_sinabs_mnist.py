"""The dead layer: sinabs's trained weights, recorded as README.md shows, against a simulation in NumPy."""

import importlib
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

pytest.importorskip("sinabs")

EXAMPLE = Path(__file__).parents[2] / "examples" / "sinabs_mnist"
SHAPES = {
    "0.weight": (20, 1, 5, 5),
    "3.weight": (32, 20, 5, 5),
    "6.weight": (128, 32, 3, 3),
    "10.weight": (500, 128),
    "12.weight": (10, 500),
}
T = 8


@pytest.fixture
def example(monkeypatch):
    """The script and its module of packages."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield importlib.import_module("dead_layer"), importlib.import_module("packages")
    for name in ("dead_layer", "packages"):
        del sys.modules[name]


def simulated(weights, images, thresholds=(1, 1, 1, 1)):
    """Potentials of the four layers `[T, N, ...]` and the sums of the outputs `[N, 10]`, in float64."""
    *layers, last = (weight.double().numpy() for weight in weights.values())
    images = images.double().numpy()
    potentials, states, outputs = [[] for _ in layers], [0.0] * len(layers), 0.0
    for _ in range(T):
        signal = images
        for i, (weight, threshold) in enumerate(zip(layers, thresholds, strict=True)):
            if weight.ndim == 4:
                windows = sliding_window_view(signal, weight.shape[2:], axis=(2, 3))
                current = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
            else:
                current = signal.reshape(len(signal), -1) @ weight.T
            v = states[i] + current
            potentials[i].append(v)
            signal = (v >= threshold).astype(float)
            states[i] = np.maximum(v - threshold * signal, -1)  # sinabs's lower bound
            if weight.ndim == 4:
                n, c, h, w = signal.shape
                half = signal[:, :, : h // 2 * 2, : w // 2 * 2]
                signal = half.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
        outputs = outputs + signal @ last.T
    return [np.stack(layer) for layer in potentials], outputs


def inside(potentials):
    """Share within half a unit of the threshold 1, by layer."""
    return [float((np.abs(v - 1) < 0.5).mean()) for v in potentials]


def packed(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_made_up_weights_of_the_same_architecture(example, tmp_path):
    script, packages = example
    random = np.random.default_rng(0)
    # Whole 64ths, and images in 16ths: sums are exact in any precision.
    made = {
        name: torch.from_numpy(np.round(random.normal(0.02, 1 / fan**0.5, shape) * 64) / 64).float()
        for name, shape in SHAPES.items()
        if (fan := np.prod(shape[1:]))
    }
    saved = io.BytesIO()
    torch.save(made, saved)
    source = packed(
        tmp_path / packages.WEIGHTS, {"sinabs-3.1.3/examples/mnist/mnist_params.pt": saved.getvalue()}
    )
    drawn = random.integers(0, 17, (10, 3, 28, 28)) / 16
    files = {
        f"package/src/digits/{digit}.json": json.dumps({"data": some.flatten().tolist()}).encode()
        for digit, some in enumerate(drawn)
    }
    digits = packed(tmp_path / packages.DIGITS, files)

    weights = packages.weights(source)
    images, labels = packages.digits(digits, 1, 3)
    assert np.array_equal(images.numpy(), drawn[:, 1:].reshape(20, 1, 28, 28))
    assert labels.tolist() == [digit for digit in range(10) for _ in range(2)]
    potentials, outputs = simulated(weights, images)
    expected = inside(potentials)
    assert min(expected) > 0.01
    found = script.recorded(script.spiking(weights, script.rectangle), images)
    assert script.shares(found).tolist() == pytest.approx(expected, rel=1e-12)
    assert found.table()["firing_rate"].tolist() == pytest.approx(
        [float((v[t] >= 1).mean()) for v in potentials for t in range(T)], rel=1e-12
    )
    right = script.accuracies(script.spiking(weights, script.rectangle), images, labels, T)
    assert float(right[-1]) == pytest.approx((outputs.argmax(1) == labels.numpy()).mean())


def test_files_that_are_not_the_packages_end_it_in_a_line(example, tmp_path):
    _, packages = example
    (tmp_path / packages.WEIGHTS).write_bytes(b"something else")
    done = subprocess.run(
        [sys.executable, EXAMPLE / "dead_layer.py", "--packages", tmp_path], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: .*sinabs-3.1.3.tar.gz is not the published package: .*\n", done.stderr)


@pytest.mark.slow
def test_the_published_weights_say_what_the_readme_shows(example):
    _, packages = example
    try:
        source, digits = packages.fetch()
    except packages.Unavailable as error:
        pytest.skip(str(error))
    weights, (images, labels) = packages.weights(source), packages.digits(digits, 0, 20)
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == SHAPES
    potentials, outputs = simulated(weights, images)
    assert [f"{share:.3f}" for share in inside(potentials)] == ["0.156", "0.170", "0.019", "0.000"]
    assert not outputs.any()
    done = subprocess.run(
        [sys.executable, EXAMPLE / "dead_layer.py"], capture_output=True, text=True, check=True
    )
    readme = (EXAMPLE / "README.md").read_text()
    shown = "\n\n".join(re.findall(r"^```\n(# .+?)\n```$", readme, re.MULTILINE | re.DOTALL))
    assert done.stdout.strip() == shown
    assert "available shares, layer 1 to 4: 0.156  0.170  0.019  0.000" in done.stdout

    thresholds = [1.0] * 4
    for layer, threshold in re.findall(
        r"^layer (\d): set the threshold to (\S+)$", done.stdout, re.MULTILINE
    ):
        thresholds[int(layer) - 1] = float(threshold)
    others, labels = packages.digits(digits, 20, 70)
    _, outputs = simulated(weights, others, thresholds)
    right = (outputs.argmax(1) == labels.numpy()).mean()
    told = float(re.search(r"-> ([\d.]+)%", done.stdout)[1])
    assert 100 * right == pytest.approx(
        told, abs=0.4
    )  # two digits of 500: sums are in single precision there
