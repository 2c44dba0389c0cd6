"""The networks against the reference's recorded training steps, evaluations and sizes."""

import os
import subprocess
import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import small

from mpdviz import networks
from mpdviz.checkpoint import released
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.networks.blocks import NeuronSpec
from mpdviz.networks.resnet19 import SEWBlock

SLIM = {"resnet19": {"steps": 2, "layers": 20}, "vggsnn": {"steps": 10, "layers": 8}}
FULL = {"resnet19": "12.70", "vggsnn": "9.27"}


def released_state(golden, name, which):
    return torch.load(golden / f"{name}_slim_{which}.pth", weights_only=True)["net"]


def arrays(golden, name):
    with np.load(golden / f"{name}_slim.npz", allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def load(golden, name, which):
    """Our network with a released state dict in it; every name must fit, both ways."""
    state = released.rename(released_state(golden, name, which))
    network = networks.build(**released.infer(state), strategy="mpd-agl", timesteps=SLIM[name]["steps"])
    network.load_state_dict(state, strict=True)
    return network


def batch(case):
    x = torch.from_numpy(case["x"])
    return x if x.dim() == 4 else x.transpose(0, 1)


def image_for(name, count=4):
    side = 16 if name in ("resnet19", "vggsnn") else 8
    channels = {"resnet19": 3, "spikformer": 3, "vggsnn": 2}.get(name, 1)
    return torch.randn(count, channels, side, side)


NAMES = sorted(networks.NETWORKS)


@pytest.mark.parametrize("name", sorted(SLIM))
class TestGolden:
    def test_training_forward_and_gradients(self, golden, name):
        case, network = arrays(golden, name), load(golden, name, "init")
        logits = network(batch(case))
        np.testing.assert_allclose(
            logits.detach().transpose(0, 1), case["logits_train"], rtol=1e-4, atol=1e-4
        )
        F.cross_entropy(logits.mean(0), torch.from_numpy(case["y"])).backward()
        theirs = released.rename(
            {
                key.removeprefix("grad."): torch.from_numpy(a)
                for key, a in case.items()
                if key.startswith("grad.")
            }
        )
        ours = {key: parameter.grad for key, parameter in network.named_parameters()}
        assert ours.keys() == theirs.keys()
        for key, expected in theirs.items():
            tolerance = 1e-3 * float(expected.abs().max())
            assert tolerance > 0, key
            assert float((ours[key] - expected).abs().max()) <= tolerance, key

    def test_losses_of_the_first_steps(self, golden, name):
        case, network = arrays(golden, name), load(golden, name, "init")
        x, y = batch(case), torch.from_numpy(case["y"])
        sgd = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        losses = []
        for _ in range(4):
            loss = F.cross_entropy(network(x).mean(0), y)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            losses.append(loss.item())
        np.testing.assert_allclose(losses[:3], case["losses"][:3], rtol=0, atol=1e-4)
        np.testing.assert_allclose(losses[3], case["losses"][3], rtol=0.05)

    def test_evaluation_of_the_released_checkpoint(self, golden, name):
        case, network = arrays(golden, name), load(golden, name, "best_model").eval()
        with torch.no_grad():
            logits = network(batch(case)).transpose(0, 1)
        np.testing.assert_allclose(logits, case["logits_eval"], rtol=1e-4, atol=1e-4)

    def test_potentials_and_widths_of_every_layer(self, golden, name):
        case, network = arrays(golden, name), load(golden, name, "best_model").eval()
        steps, rows = SLIM[name]["steps"], []

        def watch(current, potentials, spikes, kappa, v_th, shapes):
            for t in range(steps):
                v, s = potentials[t].double(), spikes[t].double()
                near = ((v - 0.5).abs() < kappa[t].double() / 2).double().mean()
                rows.append(
                    [v.numel(), v.mean(), v.var(correction=0), v.min(), v.max(), kappa[t], near, s.mean()]
                )

        asked = []
        for _, layer in network.spiking_layers():
            layer.neuron.observers.append(watch)
            asked += layer.widths(steps).tolist()
        with torch.no_grad():
            network(batch(case))
        columns = ["count", "mean", "var", "min", "max", "kappa", "available_ratio", "firing_rate"]
        ours = dict(zip(columns, np.array(rows, dtype=np.float64).T, strict=True))
        assert len(rows) == SLIM[name]["layers"] * steps
        np.testing.assert_array_equal(case["mpd.timestep"], np.tile(np.arange(steps), SLIM[name]["layers"]))
        np.testing.assert_allclose(asked, case["mpd.kappa"], rtol=0, atol=1e-6)
        for column, values in ours.items():
            # A potential that rounding carries over the threshold moves a ratio by one neuron in the layer.
            slack = {"count": 0, "kappa": 1e-6, "available_ratio": 2e-3, "firing_rate": 2e-3}.get(
                column, 1e-4
            )
            np.testing.assert_allclose(values, case[f"mpd.{column}"], rtol=0, atol=slack, err_msg=column)

    def test_layers_are_in_the_reference_s_order(self, golden, name):
        case, network = arrays(golden, name), load(golden, name, "best_model")
        theirs = list(dict.fromkeys(case["mpd.layer"].tolist()))
        renamed = released.rename({f"{layer}.w": torch.zeros(()) for layer in theirs})
        assert list(renamed) == [f"{layer}.neuron.w" for layer, _ in network.spiking_layers()]

    @pytest.mark.parametrize("which", ["init", "best_model"])
    @pytest.mark.parametrize("neuron", ["plif", "lif"])
    def test_every_released_name_has_its_place(self, golden, name, which, neuron):
        state = released_state(golden, name, which)
        assert released.looks_released(state)
        if neuron == "lif":
            state = {key: tensor for key, tensor in state.items() if not key.endswith(".w")}
        ours = released.rename(state)
        kept = [key for key in state if not key.endswith("num_batches_tracked")]
        assert len(ours) == len(kept)  # no two names fell together
        told = released.infer(ours)
        assert told["neuron"] == neuron
        assert told["name"] == name
        network = networks.build(**told, timesteps=1)
        sizes = {key: tensor.shape for key, tensor in network.state_dict().items()}
        assert sizes == {key: tensor.shape for key, tensor in ours.items()}
        assert all(torch.equal(ours[new], state[old]) for old, new in zip(kept, ours, strict=True))
        assert not released.looks_released(ours)

    def test_infer_tells_the_sizes(self, golden, name):
        told = released.infer(released.rename(released_state(golden, name, "init")))
        assert told["planes"] == (8, 16, 32)
        expected = {"resnet19": (8, 3, 256), "vggsnn": (4, 2, 48)}[name]
        assert (
            told["encode_channels"],
            told["in_channels"],
            told.get("hidden", told.get("image_size")),
        ) == expected


def test_a_name_that_no_rule_knows_is_kept():
    assert list(
        released.rename({"fc.9.strange": torch.zeros(1), "a.num_batches_tracked": torch.ones(1)})
    ) == ["fc.9.strange"]
    assert not released.looks_released({"encode.conv.weight": None})


def parameters_by_hand(name):
    """Sizes of METHOD section A, counted from the paper's description."""

    def conv(i, o, kernel=3):
        return i * o * kernel**2 + 2 * o  # tdBN: weight and bias

    if name == "vggsnn":
        widths = [2, 64, 128, 256, 256, 512, 512, 512, 512]
        return sum(conv(i, o) for i, o in pairwise(widths)) + 512 * 3 * 3 * 10 + 10
    total, width = conv(3, 128), 128
    for plane, blocks in ((128, 3), (256, 3), (512, 2)):
        for _ in range(blocks):
            total += conv(width, plane) + conv(plane, plane)
            total += conv(width, plane, 1) if width != plane else 0
            width = plane
    return total + 512 * 256 + 2 * 256 + 256 * 10


@pytest.mark.parametrize("neuron", ["lif", "plif"])
@pytest.mark.parametrize("name", sorted(FULL))
def test_full_size(name, neuron):
    network = networks.build(name, timesteps=2, num_classes=10, neuron=neuron)
    count = sum(parameter.numel() for parameter in network.parameters())
    layers = SLIM[name]["layers"]
    assert len(list(network.spiking_layers())) == layers
    assert count == parameters_by_hand(name) + (layers if neuron == "plif" else 0)
    assert f"{count / 1e6:.2f}" == FULL[name]


def test_convsnn_is_small_and_deep_enough():
    network = networks.build("convsnn", timesteps=4, num_classes=10)
    assert len(list(network.spiking_layers())) >= 5
    assert sum(parameter.numel() for parameter in network.parameters()) < 250_000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("neuron", ["lif", "plif"])
@pytest.mark.parametrize("strategy", ["mpd-agl", "fixed:kappa=2.5"])
def test_every_parameter_gets_a_gradient(name, neuron, strategy):
    # Later in the network spikes may be rare at the start: a wide surrogate of infinite support reaches all.
    network = small(name, neuron=neuron, strategy=strategy, surrogate="atan")
    logits = network(image_for(name, 16))
    assert logits.shape == (3, 16, 3)
    logits.square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_a_static_image_is_the_same_frame_repeated(name, training):
    x = image_for(name)
    results = []
    for given in (x, x.repeat(3, 1, 1, 1, 1)):
        torch.manual_seed(1)
        network = small(name).train(training)
        logits = network(given)
        logits.sum().backward()
        results.append([logits, *(parameter.grad for parameter in network.parameters()), *network.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_spiking_layers_come_in_the_order_in_which_they_run(name):
    network, ran = small(name), []
    named = list(network.spiking_layers())
    for layer, module in named:
        module.neuron.observers.append(lambda *seen, layer=layer: ran.append(layer))
        assert network.get_submodule(layer) is module
    network(image_for(name))
    assert ran == [layer for layer, _ in named]


def test_a_sew_block_adds_its_spikes():
    x = torch.randint(0, 3, (2, 3, 4, 8, 8)).float()
    for block, shape in (
        (SEWBlock(4, 4, 1, NeuronSpec()), (2, 3, 4, 8, 8)),
        (SEWBlock(4, 6, 2, NeuronSpec()), (2, 3, 6, 4, 4)),
    ):
        block.eval()
        out, main, shortcut = block(x), block.conv2(block.conv1(x)), block.downsample(x)
        assert out.shape == shape
        assert torch.equal(out, main + shortcut)
        assert set(main.unique().tolist()) <= {0, 1}


@pytest.mark.parametrize("name", NAMES)
def test_memory_layout_changes_nothing_but_rounding(name):
    x = image_for(name)
    plain = small(name).double().eval()
    laid = small(name).double().eval()
    laid.load_state_dict(plain.state_dict())
    laid = laid.to(memory_format=torch.channels_last)
    expected = plain(x.double())
    frames = x.double().repeat(3, 1, 1, 1, 1)
    for given in (
        x.double().contiguous(memory_format=torch.channels_last),
        frames.transpose(0, 1).contiguous().transpose(0, 1),  # batch-first on disk, handed over as a view
    ):
        torch.testing.assert_close(laid(given), expected)


def test_options_reach_every_layer():
    network = small(
        "convsnn", neuron="plif", decay=0.7, v_th=0.9, surrogate="atan", strategy="fixed:kappa=3", gamma=2
    )
    for _, layer in network.spiking_layers():
        assert layer.neuron.decay.item() == pytest.approx(0.7)
        assert layer.neuron.v_th == layer.norm.v_th == 0.9
        assert layer.neuron.surrogate.name == "atan"
        assert bool((layer.norm.weight == 2).all())
        assert layer.widths(2).tolist() == [3, 3]


def test_weights_come_from_torch_s_seed_alone():
    states = []
    for strategy in ("mpd-agl", "fixed:kappa=0.5"):
        torch.manual_seed(5)
        states.append(small("convsnn", strategy=strategy).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert states[0].keys() == states[1].keys()


def test_a_negative_gamma_is_said_once_for_the_whole_network():
    network = small("convsnn")
    with torch.no_grad():
        for _, layer in network.spiking_layers():
            layer.norm.weight.fill_(-1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for _ in range(3):
            network(image_for("convsnn"))
    assert [warning.category for warning in said] == [MpdvizWarning]


def refused(call, *words):
    with pytest.raises(BadInput) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("name", NAMES)
def test_wrong_inputs_are_refused(name):
    network, x = small(name), image_for(name)
    for wrong in (
        x[0],  # no batch
        x[:, :1].repeat(1, 4, 1, 1),  # channels
        x.repeat(2, 1, 1, 1, 1),  # timesteps
        x.repeat(3, 1, 1, 1, 1).transpose(0, 1),  # batch-first
        x.flatten(1),
        x[None, None],
    ):
        refused(lambda wrong=wrong: network(wrong), str(list(wrong.shape))[1:-1], "T=3", "give [N, ")


@pytest.mark.parametrize("name", ["convsnn", "vggsnn"])
def test_images_of_another_size_are_refused(name):
    """These two flatten their maps, so the side given at the start binds."""
    network, x = small(name), image_for(name)
    larger = F.pad(x, (0, x.shape[3], 0, x.shape[2]))
    refused(lambda: network(larger), str(larger.shape[2]))


def test_resnet19_takes_images_of_any_size():
    for side in (8, 17, 32):
        assert small("resnet19")(torch.randn(2, 3, side, side)).shape == (3, 2, 3)


def test_unknown_names_are_refused_with_the_nearest():
    refused(
        lambda: networks.build("resnet18", timesteps=1, num_classes=2),
        "model",
        "'resnet18'",
        "mean 'resnet19'",
    )
    refused(lambda: small("convsnn", plane=(1, 2)), "'convsnn'", "'plane'", "did you mean 'planes'")
    refused(lambda: small("vggsnn", hidden=3), "'vggsnn'", "'hidden'")
    refused(lambda: small("convsnn", neuron="lif2"), "neuron", "'lif2'", "did you mean 'lif'")
    refused(lambda: small("convsnn", strategy="mpd_agl"), "did you mean 'mpd-agl'")
    refused(lambda: small("convsnn", surrogate="a-tan"), "did you mean 'atan'")


def test_planes_of_the_wrong_length_are_refused():
    refused(lambda: small("convsnn", planes=(1, 2, 3)), "`planes` [1, 2, 3]", "give 2")
    refused(lambda: small("resnet19", planes=(1, 2)), "`planes` [1, 2]", "give 3")
    refused(lambda: small("vggsnn", planes=()), "`planes` []", "give 3")


def test_too_small_an_image_is_refused():
    refused(lambda: small("vggsnn", image_size=15), "vggsnn", "15x15", "at least 16x16")
    refused(lambda: small("convsnn", image_size=3), "convsnn", "3x3", "at least 4x4")
    refused(lambda: small("convsnn", image_size=0), "`image_size` 0")
    assert small("vggsnn", image_size=16)
    assert small("convsnn", image_size=4)


@pytest.mark.parametrize(
    "option", ["timesteps", "num_classes", "encode_channels", "hidden", "in_channels", "planes"]
)
def test_sizes_below_one_are_refused(option):
    for value in (0, -1):
        refused(
            lambda value=value: small("convsnn", **{option: (4, value) if option == "planes" else value}),
            option,
        )


def test_constants_out_of_range_are_refused():
    refused(lambda: small("convsnn", decay=1.5), "`decay` 1.5")
    refused(lambda: small("convsnn", v_th=0.0), "`v_th` 0.0")
    refused(lambda: small("convsnn", gamma=0.0), "`gamma` 0.0")


def test_a_sketch_of_any_network_leaves_torch_s_compiler_alone():
    """On the meta device torch would import it, which takes a second, to draw normal numbers for nothing."""
    code = """
import sys, torch
from networks import SIZES, small
from mpdviz.neurons import NEURONS
with torch.device("meta"):
    for neuron in NEURONS:
        for name in SIZES:
            small(name, neuron=neuron, strategy="fixed")
sys.exit("torch._dynamo" in sys.modules)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
