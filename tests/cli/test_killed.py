"""Commands that write, killed: what was there is whole, and the same command given again does it all."""

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from places import BEST, SCRIPT, snapshot, train

from mpdviz import checkpoint, load_recording

COMPARE = ("compare", "--strategies", "fixed", "--seeds", "0", *train()[1:-2])
COMMANDS = {
    "inspect": ("inspect", BEST, "--data", "npz:data.npz", "--out", "o", "--save", "r.npz"),
    "train": train(),
    "figures": ("figures", "run", "--out", "o", "--limit", "6"),
    "compare": ("compare", BEST, "run/checkpoints/last.pt", "--out", "o"),
    "compare strategies": (*COMPARE, "--out", "c"),
    "convert": ("convert", "released.pth", "new.pt"),
}
DELAYS = (1.2, 2.2, 2.8, 3.3)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "command",
    ["inspect", *(pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS if name != "inspect")],
)
def test_a_killed_command_leaves_what_was_there_and_goes_on(place, golden, command):
    shutil.copy(golden / "resnet19_slim_best_model.pth", "released.pth")
    words = [str(SCRIPT), *COMMANDS[command]]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    before = snapshot(place)
    for delay in DELAYS:
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
        ) as process:
            time.sleep(delay)
            process.kill()
        now = snapshot(place)
        assert {path: now[path] for path in before if path != place} == {
            path: held for path, held in before.items() if path != place
        }
        for path in place.rglob("*.npz"):
            assert np.load(path).files
        for path in place.rglob("*.pt"):
            checkpoint.load(path)
    if command == "train":
        words.append("--resume")
    if command == "convert":
        (place / "new.pt").unlink(missing_ok=True)  # it is whole, then; convert never replaces one
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    if command == "inspect":
        assert load_recording(place / "r.npz").layers
    if command == "train":
        assert not list((place / "new").rglob("*.part"))
