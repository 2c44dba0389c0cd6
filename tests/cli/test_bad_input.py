"""A user's mistake at the command line: exit code 2, one line that says what, where and the remedy, no trace.

Most runs are in this process, through the very function behind the console script; a few are real ones.
"""

import os
import pickle
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from places import BEST, SCRIPT, arrays, snapshot, train


def test_the_unharmed_inputs_do_work(mpdviz, place):
    """Else everything below could pass for another reason."""
    status, out, lines = mpdviz(*train())
    assert (status, lines[-1][:7]) == (0, "epoch  ")
    assert out.startswith("new/checkpoints/best.pt: test accuracy ")
    status, out, _ = mpdviz("inspect", BEST, "--layer", 5, "--format", "csv")
    assert status == 0
    assert len(out.splitlines()) == 1 + 2


# Settings


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--timesteps", 0), ["timesteps='0'", "greater than or equal to 1", "(--timesteps)"]),
        (("--lr", -0.1), ["lr='-0.1'", "greater than 0", "(--lr)"]),
        (("--lr", "nan"), ["lr='nan'", "input should be", "(--lr)"]),
        (("--lr", "fast"), ["lr='fast'", "valid number", "(--lr)"]),
        (("--weight-decay", -1), ["weight_decay='-1'", "(--weight-decay)"]),
        (("--momentum", -0.5), ["momentum='-0.5'", "(--momentum)"]),
        (("--decay", -0.2), ["decay='-0.2'", "(--decay)"]),
        (("--v-th", 0), ["v_th='0'", "(--v-th)"]),
        (("--epochs", 0), ["epochs='0'", "(--epochs)"]),
        (("--batch-size", 0), ["batch_size='0'", "(--batch-size)"]),
        (("--seed", -1), ["seed='-1'", "(--seed)"]),
        (("--model", "convsnn:planes=4-x"), ["'convsnn'", "planes '4-x'", "write planes=16-32"]),
        (("--model", "convsnn:planes=4"), ["planes [4]", "give 2 numbers"]),
        (("--model", "convsnn:plane=4"), ["'plane'", "did you mean 'planes'?"]),
        (("--model", "no_such_module:build"), ["no_such_module:build", "No module named"]),
        (("--time-axis", 1), ["--time-axis with the model convsnn", "leave it out"]),
        (("--optimizer", "adam"), ["optimizer='adam'", "(--optimizer)"]),
        (("--schedule", "cosin"), ["schedule 'cosin'", "did you mean 'cosine'?"]),
        (("--schedule", "step:every=0"), ["--schedule step: every=0", "whole epochs"]),
        (("--init", "nothing.pt"), ["nothing.pt"]),
        (("--batch-size", 49), ["batch size 49", "48 training samples", "lower --batch-size"]),
        (("--batch-size", 1, "--timesteps", 1), ["one single value per channel", "timesteps"]),
        (("--model", "convsn"), ["model 'convsn'", "did you mean 'convsnn'?", "resnet19"]),
        (("--strategy", "mpd-alg"), ["strategy 'mpd-alg'", "did you mean 'mpd-agl'?", "fixed"]),
        (("--strategy", "fixed:kapa=2"), ["'fixed' has no option 'kapa'", "mpdviz list strategies"]),
        (("--strategy", "fixed:kappa=-2"), ["kappa=-2", "positive width"]),
        (("--strategy", "fixed:key:x"), ["'fixed:key:x'", "fixed:kappa=2.5"]),
        (("--data", "digit"), ["data set 'digit'", "did you mean 'digits'?", "npz:FILE"]),
        (("--neuron", "pliff"), ["neuron 'pliff'", "did you mean 'plif'?"]),
        (("--neuron", "plif", "--decay", 1), ["--decay 1.0", "between 0 and 1"]),
        (("--surrogate", "rectangle"), ["surrogate 'rectangle'", "did you mean 'rectangular'?"]),
        (("--device", "toaster"), ["device 'toaster'", "choose cpu, cuda"]),
        (("--device", "meta"), ["device 'meta'", "choose cpu, cuda"]),
        (("--device", "cuda:77"), ["device 'cuda:77'", "choose cpu, cuda"]),
        (("--model", "vggsnn:planes=4-4-4"), ["8x8", "16x16", "another model"]),
        (("--model", f"convsnn:encode_channels={10**15}"), ["encode_channels"]),
        (("--lr", "1e300"), ["--lr"]),
        (
            ("--resume", "--out", "run", "--lr", 0.5),
            ["lr was 0.1, now 0.5", "same settings", "another --out"],
        ),
        (("--out", "run"), ["run already holds a run", "--resume"]),
    ],
)
def test_settings(refused, args, words):
    refused(*train(*args), words=words)


def test_resume_needs_to_know_what(refused):
    refused("train", "--resume", words=["--resume without --out", "which run folder"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("batchsize = 3", ["recipe.toml", "'batchsize'", "did you mean 'batch_size'?"]),
        ("lr = 'high'", ["recipe.toml", "lr='high'", "valid number"]),
        ("epochs = -1", ["recipe.toml", "epochs=-1"]),
        ("[lr]\nx = 1", ["recipe.toml", "lr={'x': 1}"]),
        ("lr = ", ["recipe.toml is not TOML", "lr = 0.1"]),
        (None, ["recipe recipe.toml", "No such file", "No such file"]),
    ],
)
def test_recipes(refused, place, content, words):
    if content is not None:
        (place / "recipe.toml").write_text(content)
    refused("train", "--recipe", "recipe.toml", "--out", "new", words=words)


# The command line itself


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("trian",), ["trian", "Did you mean 'train'?"]),
        (("--bogus",), ["--bogus"]),
        (("train", "--epoch", 3), ["--epoch"]),
        (("train", "--bogus"), ["--bogus"]),
        (("train", "surplus"), ["surplus"]),
        (("train", "sur\nplus"), ["plus"]),
        (("train", "--epochs"), ["--epochs", "requires an argument"]),
        (("inspect",), ["no checkpoint"]),
        (("inspect", BEST, "--layer", "one"), ["unknown layer", "encode"]),
        (("inspect", BEST, "--layer", "1.5"), ["unknown layer", "encode"]),
        (("inspect", BEST, "--layer", "9" * 5000), ["unknown layer", "encode"]),
        (("list",), ["Missing argument 'WHAT'"]),
        (("list", "modles"), ["'modles'", "did you mean 'models'?"]),
        (("inspect", BEST, "--format", "jsn"), ["'jsn'", "did you mean 'json'?"]),
        (("inspect", BEST, "--figure-format", "gif"), ["'gif'", "png", "svg"]),
    ],
)
def test_usage(refused, args, words):
    line = refused(*args, words=words)
    assert "mpdviz --help" in line or "choose one of" in line


def test_no_command_shows_the_help(mpdviz):
    status, out, lines = mpdviz()
    assert status == 2
    assert "train" in out + "".join(lines)


# Files: missing, damaged, unsafe, foreign


@pytest.mark.parametrize("timestep", ["9" * 5000, "٣", "1-", "0", "3"])
def test_timesteps_that_are_none(refused, timestep):
    refused("inspect", BEST, "--timestep", timestep, "--out", "new", words=["timestep", "from 1 to 2"])


@pytest.mark.parametrize("layer", [0, -1, 6, 10**6])
def test_a_layer_out_of_range(refused, layer):
    refused("inspect", BEST, "--layer", layer, "--out", "new", words=[f"no layer {layer}", "from 1 to 5"])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--timesteps", 0), ["timesteps", "0"]),
        (("--timesteps", -1), ["timesteps", "-1"]),
        (("--batch-size", 0), ["--batch-size 0", "at least 1"]),
        (("--batch-size", -4), ["--batch-size -4", "at least 1"]),
        (("--split", "tset"), ["split 'tset'", "did you mean 'test'?"]),
        (("--epsilon", 0), ["--epsilon 0", "between 0 and 1"]),
        (("--epsilon", "nan"), ["--epsilon nan", "between 0 and 1"]),
        (("--strategy", "fixed"), ["knows its own --strategy", "leave --strategy out"]),
        (("--data", "npz:none.npz"), ["none.npz", "check the path"]),
        (("--data", "digits"), ["digits", "up to 9", "3 classes", "data it was trained on"]),
        (("--data", "digits-dvs"), ["samples [2, 16, 16], not [1, 8, 8]"]),
        (("--device", "toaster"), ["'toaster'"]),
        (("--device", "meta"), ["'meta'"]),
        (("--out", "data.npz"), ["data.npz", "choose another folder"]),
        (("--out", "data.npz/below"), ["data.npz/below", "choose another folder"]),
        (("--out", "a" * 300), ["File name too long", "choose another folder"]),
    ],
)
def test_inspect(refused, args, words):
    # Given last, --out new must not appear either.
    out = () if "--out" in args else ("--out", "new")
    refused("inspect", BEST, *out, *args, words=words)


def test_a_missing_checkpoint(refused):
    refused("inspect", "none.pt", words=["none.pt", "No such file", "check the path"])
    refused("inspect", "run/checkpoints", words=["run/checkpoints has no checkpoints/best.pt", "run folder"])
    refused("inspect", "data.npz", words=["data.npz"])
    refused("inspect", "a" * 300, words=["File name too long"])


@pytest.mark.parametrize("name", ["a [bold]name[/].pt", "a:key:b.pt", "a\\[b].pt"])
def test_names_are_shown_as_they_are(refused, name):
    refused("inspect", name, words=[f" {name}: No such file"])


@pytest.mark.parametrize("kept", [0, 1, 3, 100, 0.3, 0.9, 0.999])
def test_a_checkpoint_cut_short(refused, place, kept):
    raw = (place / BEST).read_bytes()
    (place / BEST).write_bytes(raw[: kept if isinstance(kept, int) else int(len(raw) * kept)])
    refused("inspect", BEST, words=[BEST, "copy" if kept not in (0, 1) else ""])
    if kept:
        (place / "run/checkpoints/last.pt").write_bytes((place / BEST).read_bytes())
        refused("train", "--resume", "--out", "run", words=["last.pt"])


def test_a_checkpoint_with_a_flipped_bit(refused, place):
    state = torch.load(place / BEST, weights_only=True)["state"]
    raw = bytearray((place / BEST).read_bytes())
    raw[raw.index(state["hidden.linear.weight"].numpy().tobytes()) + 2] ^= 1
    (place / BEST).write_bytes(raw)
    refused("inspect", BEST, words=[BEST, "checksum", "copy or make it again"])


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("kind", ["pickle", "zip", "last.pt", "npz"])
def test_code_never_runs(refused, place, kind):
    if kind == "pickle":
        (place / BEST).write_bytes(pickle.dumps({"net": Bomb()}))
    if kind == "zip":
        torch.save({"net": Bomb()}, place / BEST)
    if kind == "last.pt":
        last = place / "run/checkpoints/last.pt"
        torch.save(torch.load(last, weights_only=True) | {"training": Bomb()}, last)
        refused("train", "--resume", "--out", "run", words=["nothing in it was run", "plain state dict"])
    elif kind == "npz":
        np.savez(place / "data.npz", x=np.array([Bomb()], dtype=object), y=np.zeros(1, int))
        refused(*train(), words=["data.npz", "never unpickled"])
    else:
        refused("inspect", BEST, words=[BEST, "nothing in it was run"])
    assert not (place / "ran").exists()


def edit(path, change):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def test_another_architecture(refused, place):
    def rename(content):
        content["state"]["features.9.conv.weight"] = content["state"].pop("features.0.conv.weight")

    def reshape(content):
        content["state"]["features.9.conv.weight"] = torch.zeros(2, 2)
        content["state"]["head.bias"] = torch.zeros(4)

    edit(place / BEST, rename)
    missing, unexpected = (
        "missing 'features.0.conv.weight' [4, 4, 3, 3]",
        "unexpected 'features.9.conv.weight'",
    )
    refused("inspect", BEST, words=[BEST, "another architecture", missing, f"{unexpected} [4, 4, 3, 3]"])
    edit(place / BEST, reshape)
    refused(
        "inspect", BEST, words=[missing, f"{unexpected} [2, 2]", "'head.bias' is [4] where [3] is expected"]
    )
    torch.save(torch.nn.Linear(3, 2).state_dict(), place / BEST)
    words = ["missing 'encode.0.layer.weight'", "unexpected 'weight' [2, 3]", "mpdviz train"]
    refused("inspect", BEST, "--data", "digits", words=[BEST, *words])


def test_weights_that_are_not_finite_fail_a_check(refused, place):
    def spoil(content):
        content["state"]["hidden.linear.weight"][3, 0] = float("nan")

    edit(place / BEST, spoil)
    words = [BEST, "1 of 2048 values of 'hidden.linear.weight' are NaN", "earlier checkpoint"]
    refused("inspect", BEST, words=words, code=1)


def test_a_released_file_alone_does_not_know_its_data(refused, golden):
    path = golden / "vggsnn_slim_best_model.pth"
    refused("inspect", path, words=["does not say what it was trained on", "--data"])
    refused("inspect", path, "--decay", 0.3, words=["learned decays", "leave --decay out"])
    refused("inspect", path, "--data", "npz:data.npz", words=["samples [1, 8, 8], not [2, 48, 48]"])
    refused("inspect", path, "--data", "digits-dvs", words=["[2, 16, 16]", "[2, 48, 48]"])


def altered(**changes):
    return arrays() | changes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["no file data.npz", "check the path after npz:"]),
        (b"", ["data.npz is empty"]),
        (b"PK\x03\x04 no archive", ["data.npz is not an npz file"]),
        ({"x": arrays()["x"]}, ["no array y", "np.savez"]),
        (
            altered(x=np.zeros((60, 64))),
            ["[64]"],
        ),
        (altered(x=np.zeros((60, 1, 8, 6))), ["8 high and 6 wide", "squares"]),
        (altered(x=np.zeros((59, 1, 8, 8))), ["59 samples and y 60", "one label"]),
        (altered(x=np.zeros((0, 1, 8, 8)), y=np.zeros(0, int)), ["no values"]),
        (altered(x=np.zeros((60, 1, 8, 8), complex)), ["complex128", "real numbers"]),
        (altered(x=np.full((60, 1, 8, 8), "a")), ["dtype <U1", "real numbers"]),
        (altered(x=np.full((60, 1, 8, 8), np.nan)), ["3840 of 3840", "NaN"]),
        (altered(x=np.full((60, 1, 8, 8), 1e300)), ["3840 of 3840", "infinite as float32"]),
        (altered(y=np.zeros(60)), ["float64", "labels are integers"]),
        (altered(y=np.zeros((60, 3), int)), ["y has 2 dimensions"]),
        (altered(y=np.arange(60) - 1), ["1 negative labels", "from 0"]),
        (altered(x=np.zeros((60, 5, 1, 8, 8))), ["5 frames", "2 timesteps"]),
        (altered(x=np.zeros((60, 1, 2, 2))), ["2x2", "4x4"]),
    ],
)
def test_npz(refused, place, content, words):
    (place / "data.npz").unlink()
    if isinstance(content, bytes):
        (place / "data.npz").write_bytes(content)
    elif content is not None:
        np.savez(place / "data.npz", **content)
    refused(*train(), words=words)
    if "frames" not in words[0] and "2x2" not in words[0]:
        refused("inspect", BEST, "--data", "npz:data.npz", "--out", "new", words=words)


def test_an_npz_with_a_flipped_bit(refused, place):
    raw = bytearray((place / "data.npz").read_bytes())
    raw[raw.index(arrays()["x"].tobytes()) + 100] ^= 4
    (place / "data.npz").write_bytes(raw)
    with zipfile.ZipFile(place / "data.npz") as archive:
        assert archive.namelist() == ["x.npy", "y.npy"]
    refused(*train(), words=["data.npz is damaged", "checksum"])


# Folders


@pytest.mark.parametrize("out", ["data.npz", "data.npz/run", "/proc/run", "/proc/self/fd/x/run", "a" * 300])
@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_folders_that_cannot_be_written(refused, out, resume):
    refused(*train("--out", out, *resume), words=["cannot write into", out, "choose another folder"])


@pytest.mark.thorough
@pytest.mark.parametrize("what", ["out", "resume", "checkpoint", "data", "recipe"])
def test_without_permission(place, what):
    """A real process; root, whom no permission stops, first gives that privilege up."""
    drop = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root needs setpriv to give its privileges up")
        drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    closed = place / "run"
    args = {
        "out": train("--out", "run/new"),
        "resume": train("--out", "run", "--resume"),
        "checkpoint": ("inspect", BEST),
        "data": (*train(), "--data", "npz:run/data.npz"),
        "recipe": ("train", "--recipe", "run/recipe.toml"),
    }[what]
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    closed.chmod(0)
    try:
        ended = subprocess.run([*drop, SCRIPT, *args], capture_output=True, text=True, check=False, env=env)
    finally:
        closed.chmod(0o700)
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("mpdviz: ")
    assert "Permission denied" in lines[0] or "not readable" in lines[0]
    assert "run" in lines[0]
    assert "; " in lines[0]
    assert (ended.returncode, ended.stdout) == (2, "")


# Diverging


@pytest.mark.parametrize("args", [("--lr", "1e12"), ("--lr", "3e38", "--batch-size", "48")])
def test_a_loss_turned_nan_stops_training(mpdviz, place, args):
    status, out, lines = mpdviz(*train("--epochs", 9, *args))
    assert status == 2
    assert out == ""
    assert lines[-1].startswith("mpdviz: training diverged in epoch ")
    assert "first non-finite: " in lines[-1]
    assert "; lower --lr" in lines[-1]
    last = place / "new/checkpoints/last.pt"
    if last.exists():
        assert f"{Path('new/checkpoints/last.pt')} is from before" in lines[-1]
        status, _, _ = mpdviz("inspect", last)
        assert status == 0


# Real processes


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (("train", "--out", "new", "--model", "convsn"), 2, ["did you mean 'convsnn'?"]),
        (("inspect", "x" * 200 + ".pt"), 2, ["x" * 200 + ".pt", "No such file"]),
        (("inspect", b"not \xff utf-8.pt"), 2, [" utf-8.pt", "No such file"]),
        (("train", "--out", "data.npz/run"), 2, ["data.npz/run", "choose another folder"]),
        (("inspect", BEST, "--layer", "9"), 2, ["from 1 to 5"]),
        (("--nonsense",), 2, ["--nonsense"]),
    ],
)
def test_a_real_process_says_one_line_whatever_the_width(place, args, status, words):
    before = snapshot(place)
    ended = subprocess.run(
        [SCRIPT, *args], capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "40"}
    )
    assert ended.returncode == status
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("mpdviz: ")
    assert all(word in ended.stderr for word in words)
    assert snapshot(place) == before


NOTED = (".lock", ".mpdviz", "config.toml", "environment.json", "result.json", "status.json")


@pytest.mark.thorough
@pytest.mark.parametrize(("kilobytes", "kept"), [(10, []), (30, ["best.pt", "mpd.csv"])])
def test_a_full_disk_in_a_real_process(place, kilobytes, kept):
    """The limit on a file's size stands for the disk: best.pt (24 kB) or last.pt (42 kB) does not fit."""
    shell = f"ulimit -f {kilobytes}; exec {SCRIPT} {' '.join(train())}"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("mpdviz: cannot write new/checkpoints/")
    assert "File too large; free space" in last
    assert ended.returncode == 2
    left = sorted(path.name for path in (place / "new").rglob("*") if path.is_file())
    assert left == sorted([*NOTED, *kept])
