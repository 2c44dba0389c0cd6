"""Tensors that no network could have, and networks that no file of that size describes."""

import pytest
import torch

from mpdviz import checkpoint, networks
from mpdviz.errors import BadInput
from mpdviz.networks import NetworkConfig
from mpdviz.system.memory import available_memory

NAME = "encode.norm.weight"


@pytest.fixture
def path(tmp_path):
    config = NetworkConfig.of(
        {"name": "convsnn", "timesteps": 2, "num_classes": 3, "in_channels": 1, "image_size": 8}
        | {"encode_channels": 4, "planes": (4, 4)}
    )
    made = config.build()
    checkpoint.save(tmp_path / "net.pt", made, architecture=config, config=None, metrics={})
    return tmp_path / "net.pt"


def edited(path, edit):
    content = torch.load(path, weights_only=True)
    edit(content)
    torch.save(content, path)
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda v: v.to_sparse(), "sparse"),
        (lambda v: v.to("meta"), "meta"),
        (lambda v: v.to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8), "quantized"),
        (lambda v: torch.nested.nested_tensor([v, v[:1]]), "nested"),
        (lambda v: v.to(torch.complex64), "complex64"),
        (lambda v: v > 0, "bool where float32 is expected"),
        (lambda v: v.long(), "int64 where float32 is expected"),
        (lambda v: v[:1].clone().expand(4), "claims more values"),
        (lambda v: v[:2], r"\[2\] where \[4\] is expected"),
        (lambda v: "text", "no tensor"),
    ],
)
def test_a_tensor_that_no_network_has_is_named(path, make, said):
    edited(path, lambda content: content["state"].__setitem__(NAME, make(content["state"][NAME])))
    with pytest.raises(BadInput, match=f"{NAME}.*{said}|{said}.*{NAME}"):
        checkpoint.load(path)


def test_half_precision_weights_are_weights(path):
    edited(path, lambda content: content["state"].__setitem__(NAME, content["state"][NAME].half()))
    assert checkpoint.load(path).network.state_dict()[NAME].dtype == torch.float32


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": 20_000_000},
        {"planes": [10**9, 10**9]},
        {"timesteps": -1},
        {"timesteps": "two"},
        {"num_classes": 2.5},
        {"planes": 4},
        {"decay": "x"},
        {"strategy": 7},
        {"name": ["convsnn"]},
        {"encode_channels": 10**30},
        {"image_size": None},
        {"surrogate": {}},
    ],
)
def test_a_network_is_described_by_its_weights_or_not_at_all(path, settings):
    edited(path, lambda content: content["network"].update(settings))
    before = available_memory()
    with pytest.raises(BadInput, match=r"net\.pt"):
        checkpoint.load(path)
    assert available_memory() > before - 500e6


def test_networks_are_built_as_before(path):
    loaded = checkpoint.load(path).network
    torch.manual_seed(0)
    one = networks.build("convsnn", timesteps=2, num_classes=3, in_channels=1, image_size=8)
    torch.manual_seed(0)
    two = networks.build("convsnn", timesteps=2, num_classes=3, in_channels=1, image_size=8)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not any(parameter.is_meta for parameter in loaded.parameters())


VALUES = {
    "sparse": lambda: torch.eye(3).to_sparse_csr(),
    "vector": lambda: torch.zeros(2),
    "numbers": lambda: {1: 2},
    "tensors": lambda: {"a": torch.eye(2)},
    "text": lambda: "x",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "part", ["format", "version", "metrics", "stage", "neurons", "config", "network", "state"]
)
@pytest.mark.parametrize("value", VALUES)
def test_any_part_may_be_anything(path, part, value):
    edited(path, lambda content: content.update({part: VALUES[value]()}))
    if part == "neurons":  # which nothing is read from
        checkpoint.load(path)
        return
    with pytest.raises(BadInput, match=r"net\.pt"):
        checkpoint.load(path)
