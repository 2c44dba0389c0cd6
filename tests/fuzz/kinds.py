"""Every kind of input by name, and the files that inputs are made of."""

import shutil
from pathlib import Path

import numpy as np
import torch
from networks import TRAINING

from fuzz import checkpoints, folders, options, recordings
from fuzz.case import LAST, TINY
from mpdviz.accumulations.storage import load
from mpdviz.compare import arms, plan

KINDS = {
    "checkpoint": checkpoints.checkpoint,
    "released": checkpoints.released,
    "resume": checkpoints.resume,
    "recording": recordings.recording,
    "data": recordings.data,
    "run folder": folders.run_folder,
    "comparison": folders.comparison,
    "watched run": folders.watched,
    "recipe": folders.recipe,
    "option": options.option,
    "environment": options.environment,
}
"""Each damages its copy of the sources and returns what is to be run there."""
COMPARED = TRAINING | {"data": "npz:data.npz", "epochs": 1}
GOLDEN = Path(__file__).parents[1] / "golden"
NET = """from mpdviz import networks

def build():
    sizes = {"encode_channels": 4, "planes": (4, 4), "image_size": 8}
    return networks.build("convsnn", timesteps=2, num_classes=3, in_channels=1, **sizes)
"""


def make_sources(folder, command):
    """Sound files of every sort: data, a run, a comparison, recordings, a released file, a user's network.

    Args:
        folder: where.
        command: runs `mpdviz` with these words in the folder; an error unless it succeeds.
    """
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 1, 8, 8)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=np.arange(60) % 3)
    # What the released file takes.
    np.savez(folder / "frames.npz", x=random.random((2, 10, 2, 48, 48), np.float32), y=np.arange(2))
    (folder / "net.py").write_text(NET)
    run = ("train", "--data", "npz:data.npz", *TINY)
    command(*run, "--epochs", "2", "--save-every", "2", "--out", "run")
    command("inspect", "run", "--save", "r.npz", "--format", "csv")
    # To be compared, recordings have counted the potentials under one another's widths.
    widths = {kappa for layer in load(folder / "r.npz").layers.values() for kappa in layer.info.kappa}
    counted = ("--what-if", ",".join(map(str, sorted(widths))), "--gradients", "--format", "csv")
    command("inspect", "run", "--save", "r.npz", *counted)
    shutil.copy(folder / "r.npz", folder / "twin.npz")
    command("inspect", "run", "--limit", "20", "--save", "other.npz", *counted)
    plan.plan(arms.of_strategies(("fixed", "mpd-agl")), (0,), COMPARED, folder / "cmp").write()
    for strategy in ("fixed", "mpd-agl"):
        command(*run, "--epochs", "1", "--strategy", strategy, "--out", f"cmp/runs/{strategy}/seed-0")
    shutil.copy(GOLDEN / "vggsnn_slim_init.pth", folder / "released.pth")
    _rewind(folder / LAST, folder / "middle.pt")
    recordings.write_bomb(folder / "bomb")


def _rewind(last, middle):
    """The state after the first of two epochs, as far as a resumed run can tell."""
    content = torch.load(last, weights_only=True)
    position = content["training"]["position"]
    position |= {"epoch": 1, "metrics": position["metrics"][:1], "widths": position["widths"][:10]}
    torch.save(content, middle)
