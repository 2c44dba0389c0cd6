"""Checkpoints: what is in them, that damage and strangers are refused, and that nothing in them runs."""

import errno
import math
import os
import pickle
import re
import resource
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from mpdviz import checkpoint, networks
from mpdviz.config import RunConfig, validate
from mpdviz.errors import BadInput, NotFinite

GIVEN = {"model": "convsnn:encode_channels=4:planes=4-6", "timesteps": 3, "lr": 0.05}
RELEASED = ["resnet19_slim", "vggsnn_slim"]


def make(**changes):
    """A network whose weights and running statistics are not those it was born with."""
    config = validate({**GIVEN, **changes})
    sizes = {"name": config.model, "num_classes": 3, "in_channels": 1, "image_size": 8}
    architecture = networks.NetworkConfig.of(sizes | config.network_options())
    network = architecture.build().train()
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            tensor.add_(torch.randn(tensor.shape) * (0.3 if name.endswith(".w") else 0.1))
        network(torch.randn(16, 1, 8, 8))
    return config, architecture, network


def write(path, **changes):
    config, architecture, network = make(**changes)
    checkpoint.save(
        path, network, architecture=architecture, config=config, metrics={"val_accuracy": 0.75, "epoch": 2}
    )
    return config, network


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("ours") / "best.pt"
    write(path)
    return path


def plain(path):
    return torch.load(path, weights_only=True)


def edited(path, tmp_path, edit):
    """A sound archive whose content was changed: `edit` alters the dict or returns another one."""
    content = plain(path)
    content = edit(content) or content
    torch.save(content, tmp_path / "edited.pt")
    return tmp_path / "edited.pt"


def equal(a, b):
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


# What is in the file


def test_ours_is_a_plain_dict_that_torch_alone_can_read(tmp_path):
    config, network = write(tmp_path / "c.pt", neuron="plif", decay=0.3, v_th=0.8)
    content = plain(tmp_path / "c.pt")
    assert (content["format"], content["version"]) == ("mpdviz", 1)
    assert validate(content["config"]) == config
    assert content["metrics"] == {"val_accuracy": 0.75, "epoch": 2}
    assert equal(content["state"], network.state_dict())
    assert content["network"]["planes"] == [4, 6]
    assert list(content["neurons"]) == ["encode", "features.0", "features.2", "features.3", "hidden"]
    for name, neuron in content["neurons"].items():
        w = content["state"][f"{name}.neuron.w"].item()
        assert neuron["kind"] == "plif"
        assert neuron["v_th"] == 0.8
        assert neuron["decay"] == pytest.approx(1 / (1 + math.exp(-w)), rel=1e-6)
    with zipfile.ZipFile(tmp_path / "c.pt") as archive:
        assert archive.testzip() is None


def test_constants_are_stored_as_they_were_given(ours):
    """0.2, and not its nearest float32."""
    assert [neuron["decay"] for neuron in plain(ours)["neurons"].values()] == [0.2] * 5
    assert {row["decay"] for row in checkpoint.load(ours).network.widths()} == {0.2}


@pytest.mark.parametrize(
    "changes", [{}, {"neuron": "plif"}, {"strategy": "fixed:kappa=2.5", "surrogate": "atan", "v_th": 0.8}]
)
def test_what_was_saved_comes_back_bit_for_bit(tmp_path, changes):
    config, network = write(tmp_path / "c.pt", **changes)
    loaded = checkpoint.load(str(tmp_path / "c.pt"))
    x = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(loaded.network(x), network.eval()(x))
    assert not loaded.network.training
    assert loaded.config == config
    assert (loaded.metrics, loaded.training, loaded.assumed) == ({"val_accuracy": 0.75, "epoch": 2}, None, {})
    assert [row["kappa"] for row in loaded.network.widths()] == [row["kappa"] for row in network.widths()]
    assert checkpoint.load(tmp_path / "c.pt", timesteps=7).network.timesteps == 7


@pytest.mark.parametrize("timesteps", [0, -1])
def test_timesteps_below_one_are_refused(ours, golden, timesteps):
    for path in (ours, golden / "resnet19_slim_best_model.pth"):
        with pytest.raises(BadInput, match=f"timesteps.*{timesteps}.*at least 1"):
            checkpoint.load(path, timesteps=timesteps)


@pytest.mark.parametrize("option", [{"strategy": "fixed"}, {"decay": 0.5}, {"v_th": 1.0}])
def test_ours_knows_its_own_settings(ours, option):
    name = next(iter(option))
    with pytest.raises(BadInput, match=f"knows its own `{name}`; leave `{name}` out"):
        checkpoint.load(ours, **option)


# Writing


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path):
    """The operating system's own limit on a file's size stands for the full disk."""
    path = tmp_path / "last.pt"
    write(path)
    before = path.read_bytes()
    config, architecture, network = make()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 100, len(before) // 2, len(before) - 1000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            with pytest.raises(BadInput, match=re.escape(f"cannot write {path}: {os.strerror(errno.EFBIG)}")):
                checkpoint.save(path, network, architecture=architecture, config=config, metrics={})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


def test_a_state_that_cannot_be_written_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    write(path)
    before = path.read_bytes()
    config, architecture, network = make()
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        checkpoint.save(path, network, architecture=architecture, config=config, metrics={"x": lambda: 0})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path):
    config, architecture, network = make()
    with pytest.raises(BadInput, match=r"cannot write .*No such file or directory; "):
        checkpoint.save(
            tmp_path / "no" / "c.pt", network, architecture=architecture, config=config, metrics={}
        )
    assert list(tmp_path.iterdir()) == []


# Damage


def test_a_flipped_weight_that_torch_would_load_in_silence(ours, tmp_path):
    state = plain(ours)["state"]
    name = "features.2.conv.weight"
    raw = bytearray(ours.read_bytes())
    place = raw.index(state[name].numpy().tobytes())
    raw[place + 3] ^= 0x40  # the highest bit of the first weight's exponent
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(raw)
    silent = plain(damaged)["state"]
    assert not torch.equal(silent[name], state[name])  # torch says nothing
    with pytest.raises(BadInput, match=r"damaged: the checksum of .*data/\d+ does not match; "):
        checkpoint.load(damaged)


def outcome(path):
    """The state and config that `load` gives, or None where it refuses; anything else is a failure."""
    try:
        loaded = checkpoint.load(path)
    except BadInput as error:
        message = str(error)
    else:
        return loaded.network.state_dict(), loaded.config, loaded.metrics
    assert str(path) in message
    assert "\n" not in message
    return None


def test_a_flipped_bit_in_the_archive_s_directory(ours, tmp_path):
    """Attribute bit 4 says "folder": torch then reads no bytes at all and takes what lay in memory."""
    raw = ours.read_bytes()
    state, config, metrics = outcome(ours)
    with zipfile.ZipFile(ours) as archive:
        place, entries = archive.start_dir, archive.infolist()
    for entry in entries:
        attributes = raw.index(b"PK\x01\x02", place) + 38
        place = attributes + 1
        damaged = bytearray(raw)
        damaged[attributes] ^= 0x10
        (tmp_path / "damaged.pt").write_bytes(damaged)
        found = outcome(tmp_path / "damaged.pt")
        if found is not None:
            assert equal(found[0], state), entry.filename
            assert found[1:] == (config, metrics)


@pytest.mark.thorough
@pytest.mark.parametrize("bits", [1, 8])
def test_flipped_bits_are_refused_or_harmless(ours, tmp_path, bits):
    """300 places at random, a fifth of the archive's directory and all of its end: never other numbers."""
    raw = ours.read_bytes()
    state, config, metrics = outcome(ours)
    random = np.random.default_rng(bits)
    with zipfile.ZipFile(ours) as archive:
        directory = archive.start_dir
    end = len(raw) - 98  # the three records that close an archive: 56, 20 and 22 bytes
    places = {*random.integers(0, directory, 300).tolist(), *range(directory, end, 5), *range(end, len(raw))}
    refused = 0
    for place in sorted(places):
        damaged = bytearray(raw)
        damaged[place] ^= 0xFF if bits == 8 else 1 << int(random.integers(8))
        (tmp_path / "damaged.pt").write_bytes(damaged)
        found = outcome(tmp_path / "damaged.pt")
        if found is None:
            refused += 1
        else:
            assert equal(found[0], state), place
            assert found[1:] == (config, metrics), place
    assert refused > len(places) / 4


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.3, 0.5, 0.9, 0.99, 0.9999])
def test_truncated(ours, golden, tmp_path, share):
    for path in (ours, golden / "vggsnn_slim_best_model.pth"):
        raw = path.read_bytes()
        (tmp_path / "short.pt").write_bytes(raw[: int(len(raw) * share)])
        with pytest.raises(BadInput, match="is empty" if share == 0 else "damaged|not a checkpoint archive"):
            checkpoint.load(tmp_path / "short.pt")
        (tmp_path / "short.pt").write_bytes(raw[:-1])
        with pytest.raises(BadInput, match="damaged"):
            checkpoint.load(tmp_path / "short.pt")


@pytest.mark.parametrize(
    "content",
    [b"P", b"PK", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"hello", bytes(10_000), b"\x80\x02}q\x00."],
)
def test_files_of_another_kind(tmp_path, content):
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(BadInput):
        checkpoint.load(tmp_path / "c.pt")


def test_an_archive_of_something_else(tmp_path):
    np.savez(tmp_path / "c.npz", x=np.zeros(3))
    with pytest.raises(BadInput, match=str(tmp_path)):
        checkpoint.load(tmp_path / "c.npz")


# Code in the file


class Bomb:
    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def raw_pickle(path, content):
    path.write_bytes(pickle.dumps(content))


def torch_legacy(path, content):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def torch_zip(path, content):
    torch.save(content, path)


@pytest.mark.parametrize("where", ["alone", "in the config", "beside the weights", "as a weight", "in ours"])
@pytest.mark.parametrize("pack", [raw_pickle, torch_legacy, torch_zip])
def test_code_in_a_checkpoint_never_runs(ours, tmp_path, pack, where):
    target, path = tmp_path / "ran", tmp_path / "bomb.pt"
    bomb = Bomb(target)
    state = {"encode.0.layer.weight": torch.zeros(1)}
    content = {
        "alone": bomb,
        "in the config": {"format": "mpdviz", "version": 1, "config": bomb},
        "beside the weights": {"net": state, "optimizer": [bomb]},
        "as a weight": {"net": state | {"fc.2.layer.weight": bomb}},
        "in ours": plain(ours) | {"training": {"position": bomb}},
    }[where]
    pack(path, content)
    with pytest.raises(BadInput, match="nothing in it was run") as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)
    assert not target.exists()
    # The bomb is live: whoever unpickles the file without care does run it.
    if pack is raw_pickle:
        pickle.loads(path.read_bytes())  # noqa: S301
    else:
        torch.load(path, weights_only=False)
    assert target.is_dir()


# Strangers


def test_a_tensor_too_few(ours, tmp_path):
    def edit(content):
        del content["state"]["features.2.conv.weight"], content["state"]["head.bias"]

    with pytest.raises(
        BadInput, match=r"another architecture: missing 'features.2.conv.weight' \[6, 4, 3, 3\]; "
    ):
        checkpoint.load(edited(ours, tmp_path, edit))


def test_a_tensor_renamed(ours, tmp_path):
    def edit(content):
        content["state"]["elsewhere"] = content["state"].pop("hidden.linear.weight")

    message = r"missing 'hidden.linear.weight' \[128, 24\], unexpected 'elsewhere' \[128, 24\]; "
    with pytest.raises(BadInput, match=message):
        checkpoint.load(edited(ours, tmp_path, edit))


def test_a_tensor_reshaped(ours, tmp_path):
    def edit(content):
        content["state"]["hidden.linear.weight"] = torch.zeros(128, 25)

    message = r"'hidden.linear.weight' is \[128, 25\] where \[128, 24\] is expected; "
    with pytest.raises(BadInput, match=message):
        checkpoint.load(edited(ours, tmp_path, edit))


@pytest.mark.parametrize("wrap", [dict, OrderedDict, lambda state: {"net": state, "best_acc": 3.0}])
def test_a_foreign_state_dict(tmp_path, wrap):
    torch.save(wrap(torch.nn.Linear(3, 2).state_dict()), tmp_path / "c.pt")
    with pytest.raises(
        BadInput,
        match=r"another architecture: missing 'encode.0.layer.weight', unexpected 'weight' \[2, 3\]; ",
    ):
        checkpoint.load(tmp_path / "c.pt")


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(2)],
        torch.zeros(2),
        3,
        None,
        {},
        {"net": {}},
        {"net": 3},
        {"model": {"w": torch.zeros(2)}},
        {3: 4},
    ],
)
def test_content_that_is_no_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(BadInput, match=re.escape(str(tmp_path / "c.pt"))):
        checkpoint.load(tmp_path / "c.pt")


def drop(*keys):
    def edit(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return pytest.param(edit, id=f"no {' '.join(keys)}")


def put(value, *keys):
    def edit(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return pytest.param(edit, id=f"{' '.join(keys)} {value!r}")


@pytest.mark.parametrize(
    "edit",
    [
        *(drop(part) for part in ("version", "config", "network", "state", "metrics")),
        *(put(None, part) for part in ("version", "config", "network", "state", "metrics")),
        *(put([1], part) for part in ("config", "network", "state", "metrics")),
        put(2, "version"),
        put(1, "config", "colour"),
        put(-1, "config", "lr"),
        drop("network", "name"),
        drop("network", "timesteps"),
        put("convsn", "network", "name"),
        put("two", "network", "timesteps"),
        put(0, "network", "timesteps"),
        put(3, "network", "planes"),
        put([4], "network", "planes"),
        put(["4", "6"], "network", "planes"),
        put(-4, "network", "encode_channels"),
        put("mpd-alg", "network", "strategy"),
        put("gauss", "network", "surrogate"),
        put(1, "network", "colour"),
        put(3.0, "state", "head.bias"),
        put(None, "state", "extra"),
    ],
)
def test_ours_with_a_part_missing_or_wrong(ours, tmp_path, edit):
    """Sound archives of the right format whose content nobody's `save` would have written."""
    path = edited(ours, tmp_path, edit)
    with pytest.raises(BadInput):
        checkpoint.load(path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_named(ours, tmp_path, value):
    def edit(content):
        content["state"]["features.0.conv.weight"][0, 1, 2, 0] = value
        content["state"]["features.0.conv.weight"][3, 1, 2, 0] = value

    with pytest.raises(
        NotFinite, match=r"2 of 144 values of 'features.0.conv.weight' are NaN or infinite"
    ) as e:
        checkpoint.load(edited(ours, tmp_path, edit))
    assert e.value.exit_code == 1


# The released format


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_file(golden, name):
    path = golden / f"{name}_best_model.pth"
    loaded = checkpoint.load(path)
    timesteps = {"resnet19_slim": 2, "vggsnn_slim": 10}[name]
    assert loaded.assumed == {"strategy": "mpd-agl", "v_th": 0.5, "timesteps": timesteps}
    assert loaded.config is None
    assert loaded.metrics == {"test_accuracy": plain(path)["best_acc"] / 100}
    net = plain(path)["net"]
    decays = [tensor.sigmoid().item() for key, tensor in net.items() if key.endswith("neuron.w")]
    assert [layer.neuron.decay.item() for _, layer in loaded.network.spiking_layers()] == decays
    recorded = np.load(golden / f"{name}.npz")
    x = torch.from_numpy(recorded["x"])
    with torch.no_grad():
        logits = loaded.network(x.transpose(0, 1) if x.dim() == 5 else x)
    torch.testing.assert_close(
        logits.transpose(0, 1), torch.from_numpy(recorded["logits_eval"]), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", RELEASED)
def test_what_is_given_is_no_longer_assumed(golden, name):
    loaded = checkpoint.load(
        golden / f"{name}_best_model.pth", strategy="fixed:kappa=2", timesteps=3, v_th=0.7
    )
    assert loaded.assumed == {}
    assert loaded.network.timesteps == 3
    assert {layer.neuron.v_th for _, layer in loaded.network.spiking_layers()} == {0.7}
    assert {row["kappa"] for row in loaded.network.widths()} == {2.0}


@pytest.mark.parametrize("name", RELEASED)
def test_learned_decays_cannot_be_overridden(golden, name):
    with pytest.raises(BadInput, match=r"learned decays .PLIF.; leave `decay` out"):
        checkpoint.load(golden / f"{name}_best_model.pth", decay=0.2)


@pytest.fixture(params=RELEASED)
def released_lif(request, golden, tmp_path):
    content = plain(golden / f"{request.param}_best_model.pth")
    content["net"] = {n: tensor for n, tensor in content["net"].items() if not n.endswith(".neuron.w")}
    torch.save(content, tmp_path / "lif.pth")
    return tmp_path / "lif.pth"


def test_a_released_lif_takes_its_decay_from_outside(released_lif):
    loaded = checkpoint.load(released_lif)
    assert loaded.assumed["decay"] == 0.2
    assert {layer.neuron.decay for _, layer in loaded.network.spiking_layers()} == {0.2}
    other = checkpoint.load(released_lif, decay=0.7)
    assert "decay" not in other.assumed
    assert {layer.neuron.decay for _, layer in other.network.spiking_layers()} == {0.7}
    for wrong in ({"decay": 1.5}, {"decay": math.nan}, {"v_th": -1}, {"v_th": 0}, {"strategy": "mpd-alg"}):
        with pytest.raises(BadInput):
            checkpoint.load(released_lif, **wrong)


def test_a_bare_released_state_dict_works_too(golden, tmp_path):
    content = plain(golden / "vggsnn_slim_best_model.pth")
    torch.save(content["net"], tmp_path / "bare.pth")
    bare = checkpoint.load(tmp_path / "bare.pth")
    assert bare.metrics == {}
    whole = checkpoint.load(golden / "vggsnn_slim_best_model.pth")
    assert equal(bare.network.state_dict(), whole.network.state_dict())


@pytest.mark.thorough
@pytest.mark.parametrize("name", RELEASED)
def test_a_released_file_changed_anywhere_is_refused(golden, tmp_path, name):
    """Every tensor in turn removed, renamed, lengthened, reshaped or summed up.

    All of that is done to those that tell the network's sizes, and one of it to each of the others.
    """
    content = plain(golden / f"{name}_best_model.pth")
    net, path = content["net"], tmp_path / "changed.pth"
    kept = [key for key in net if not key.endswith(("num_batches_tracked", "neuron.w"))]
    sizes = re.compile(r"(encode\.0|fc\.\d|classifier\.0|features\.\d|\.[036]\.0\.conv1)\.layer\.weight$")
    for i, key in enumerate(kept):
        tensor = net[key]
        changes = [
            {},
            {f"{key}.other": tensor},
            {key: tensor.flatten()} if tensor.dim() > 1 else {key: tensor[:, None]},
            {key: tensor.sum()},
            {key: tensor.new_zeros(len(tensor) + 1, *tensor.shape[1:])},
        ]
        if key == "fc.2.layer.weight":
            del changes[-1]  # without a bias, that is a network of one class more
        for change in changes if sizes.search(key) else [changes[i % 5]]:
            torch.save({"net": {k: v for k, v in net.items() if k != key} | change}, path)
            try:
                checkpoint.load(path)
                found = "loaded"
            except Exception as error:
                found = error
            said = f"{key} {[list(tensor.shape) for tensor in change.values()]}: {found!r}"
            assert isinstance(found, BadInput), said
            assert str(path) in str(found), said


@pytest.mark.parametrize("best", ["12.5", None, [1]])
def test_a_released_file_with_an_odd_accuracy(golden, tmp_path, best):
    content = plain(golden / "vggsnn_slim_best_model.pth") | {"best_acc": best}
    torch.save(content, tmp_path / "c.pth")
    try:
        loaded = checkpoint.load(tmp_path / "c.pth")
    except BadInput:
        return
    assert loaded.metrics == {}


def test_defaults_are_the_papers():
    assert RunConfig().strategy == checkpoint.released.DEFAULTS["strategy"] == "mpd-agl"
    assert (RunConfig().decay, RunConfig().v_th) == (0.2, 0.5)
