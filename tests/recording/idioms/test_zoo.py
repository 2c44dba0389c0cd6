"""Networks of SpikingJelly's model zoo, small: spikes against plain hooks, and nothing changes."""

import copy
import importlib

import pytest
import torch
from recording.idioms.runs import warned

neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
functional = pytest.importorskip("spikingjelly.activation_based.functional")
surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
T, N = 3, 2
LIF = {"spiking_neuron": neuron.LIFNode, "surrogate_function": surrogate.ATan(), "detach_reset": True}


def zoo(module, name, *args, **options):
    def make():
        try:
            found = importlib.import_module(f"spikingjelly.activation_based.model.{module}")
        except ModuleNotFoundError as error:
            pytest.skip(f"needs {error.name}")
        return getattr(found, name)(*args, **options)

    return make


NETWORKS = {
    "Spikformer": (
        zoo("spikformer", "Spikformer", T=T, img_size_h=16, img_size_w=16, patch_size=4, num_classes=3,
            embed_dims=16, num_heads=2, depths=2, **LIF),
        (3, 16, 16),
    ),
    "SDT": (
        zoo("spike_driven_transformer", "SpikeDrivenTransformer", T=T, num_classes=3, embed_dims=16,
            num_heads=2, depths=1, **LIF),
        (3, 32, 32),
    ),
    "MS-ResNet": (
        zoo("ms_resnet", "MSResNet", T=T, num_classes=3, layers=(1, 1, 1, 1), base_channels=4, **LIF),
        (3, 32, 32),
    ),
    "SEW-ResNet": (zoo("sew_resnet", "sew_resnet18", num_classes=3, cnf="ADD", **LIF), (3, 32, 32)),
    "VGG": (zoo("spiking_vgg", "spiking_vgg11", num_classes=3, **LIF), (3, 32, 32)),
    "PLIF net": (
        zoo("parametric_lif_net", "MNISTNet", channels=4, spiking_neuron=neuron.ParametricLIFNode),
        (1, 28, 28),
    ),
}  # fmt: skip


def kept(net, mode):
    """Spikes by timestep that each neuron module emits, by its path."""
    spikes = {}

    def keeper(path):
        def keep(_, __, output):
            steps = output if mode == "m" else output[None]
            spikes.setdefault(path, []).extend(int((step > 0).sum()) for step in steps)

        return keep

    handles = [
        module.register_forward_hook(keeper(path))
        for path, module in net.named_modules()
        if isinstance(module, neuron.BaseNode)
    ]
    return spikes, handles


def run(net, x, mode):
    functional.reset_net(net)
    net.zero_grad()
    torch.manual_seed(3)
    out = net(x) if mode == "m" else torch.stack([net(step) for step in x])
    if out.requires_grad:
        out.square().sum().backward()
    return out.detach(), [p.grad.clone() for p in net.parameters() if p.grad is not None]


CASES = [(name, "m", True) for name in NETWORKS] + [("Spikformer", "s", False), ("PLIF net", "m", False)]


@pytest.mark.parametrize(("name", "mode", "training"), CASES)
def test_every_neuron_is_read(name, mode, training):
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    net = make()
    functional.set_step_mode(net, mode)
    net.train(training)
    x = 2 * torch.rand(T, N, *shape)
    plain = copy.deepcopy(net)
    spikes, handles = kept(plain, mode)
    expected, gradients = run(plain, x, mode)
    for handle in handles:
        handle.remove()
    with warned(net, gradients=True) as (mpd, said):
        out, recorded_gradients = run(net, x, mode)
    assert torch.equal(out, expected)
    assert len(gradients) == len(recorded_gradients)
    assert all(torch.equal(a, b) for a, b in zip(gradients, recorded_gradients, strict=True))
    assert dict(mpd.left_out) == {}
    counted = {layer.info.name: layer.statistics.spikes.tolist() for layer in mpd.layers.values()}
    assert counted == spikes
    never = {"without a reset"} if mode == "s" else set()
    assert all(any(known in str(warning.message) for known in never) for warning in said), [
        str(w.message) for w in said
    ]
