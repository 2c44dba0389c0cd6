"""Neurons of snnTorch's and Norse's of every class, and networks that were imported from NIR."""

import copy

import pytest
import torch
from recording.idioms.runs import recorded, warned
from torch import nn

T, N, C = 6, 4, 7


class Network(nn.Module):
    """Weights, neurons that hand their state on, and their spikes."""

    def __init__(self, neuron, *, scale=3.0, whole=False):
        super().__init__()
        self.fc, self.neuron, self.scale, self.whole = nn.Linear(9, C), neuron, scale, whole

    def forward(self, xs):
        if self.whole:
            out = self.neuron(self.scale * self.fc(xs))
            self.spikes = out[0] if isinstance(out, tuple) else out
            return self.spikes
        state, spikes = (), []
        for x in xs:
            out = self.neuron(self.scale * self.fc(x), *state)
            spikes.append(out[0] if isinstance(out, tuple) else out)
            state = out[1:] if isinstance(out, tuple) else ()
        self.spikes = torch.stack(spikes)
        return self.spikes


def data():
    return torch.randn(T, N, 9, generator=torch.Generator().manual_seed(1))


def run(net):
    out = net(data())
    out.square().sum().backward()
    return out, [p.grad.clone() for p in net.parameters() if p.grad is not None]


def check(net, count=N * C, *, copied=True):
    """A recording of the network is right and changes nothing; the layer."""
    expected, gradients = run(copy.deepcopy(net) if copied else net)
    net.zero_grad()
    with recorded(net, gradients=True) as mpd:
        out, recorded_gradients = run(net)
    assert torch.equal(out, expected)
    assert all(torch.equal(a, b) for a, b in zip(gradients, recorded_gradients, strict=True))
    (layer,) = mpd.layers.values()
    assert layer.info.name == "neuron"
    assert layer.statistics.count.tolist() == [count] * T
    assert layer.statistics.spikes.tolist() == (net.spikes > 0).flatten(1).sum(1).tolist()
    assert 0 < layer.statistics.spikes.sum() < T * count
    return layer


class TestSnnTorch:
    def kinds():
        snn = pytest.importorskip("snntorch")
        return {
            "Leaky": lambda **options: snn.Leaky(beta=0.8, **options),
            "RLeaky": lambda **options: snn.RLeaky(beta=0.8, linear_features=C, **options),
            "Synaptic": lambda **options: snn.Synaptic(alpha=0.7, beta=0.8, **options),
            "RSynaptic": lambda **options: snn.RSynaptic(alpha=0.7, beta=0.8, linear_features=C, **options),
            "Alpha": lambda **options: snn.Alpha(alpha=0.9, beta=0.8, threshold=0.3, **options),
            "Lapicque": lambda **options: snn.Lapicque(beta=0.8, threshold=0.4, **options),
            "SLSTM": lambda **options: snn.SLSTM(C, C, threshold=0.1, **options),
        }

    @pytest.mark.parametrize("options", [{}, {"reset_mechanism": "zero"}, {"learn_threshold": True}])
    @pytest.mark.parametrize(
        "kind", ["Leaky", "RLeaky", "Synaptic", "RSynaptic", "Alpha", "Lapicque", "SLSTM"]
    )
    def test_stepped(self, kind, options):
        torch.manual_seed(0)
        check(Network(TestSnnTorch.kinds()[kind](**options)))

    @pytest.mark.parametrize("kind", ["Leaky", "Synaptic"])
    def test_thresholds_and_decays_by_neuron(self, kind):
        torch.manual_seed(0)
        thresholds = torch.linspace(0.5, 1, C)
        layer = check(Network(TestSnnTorch.kinds()[kind](threshold=thresholds, learn_threshold=True)))
        assert layer.info.v_th == 0

    def test_whole_sequences(self):
        snn = pytest.importorskip("snntorch")
        torch.manual_seed(0)
        check(Network(snn.LeakyParallel(C, C, threshold=0.3, beta=0.7), whole=True))
        check(Network(snn.StateLeaky(beta=0.8, channels=C), whole=True))
        check(Network(snn.LinearLeaky(beta=0.8, in_features=C, out_features=C), whole=True))

    def test_images(self):
        snn = pytest.importorskip("snntorch")
        torch.manual_seed(0)

        class Images(Network):
            def forward(self, xs):
                state, spikes = (), []
                for x in xs:
                    image = self.fc(x).reshape(N, 1, 1, C).expand(N, 1, C, C)
                    spike, *state = self.neuron(image, *state)
                    spikes.append(spike)
                self.spikes = torch.stack(spikes)
                return self.spikes

        check(Images(snn.SConv2dLSTM(1, 3, 3, threshold=0.05)), count=N * 3 * C * C)


CELLS = ["IAF", "LIF", "LIFAdEx", "LIFEx", "LSNN", "LIFBox", "LIFRefrac", "LIFAdExRefrac"]
RECURRENT = [kind for kind in CELLS if kind not in ("IAF", "LIFBox")]


class TestNorse:
    @pytest.mark.parametrize(
        ("kind", "recurrent"), [(kind, "") for kind in CELLS] + [(kind, "Recurrent") for kind in RECURRENT]
    )
    def test_cells(self, kind, recurrent):
        norse = pytest.importorskip("norse.torch")
        made = getattr(norse, f"{kind}{recurrent}Cell")
        torch.manual_seed(0)
        net = Network(made(C, C) if recurrent else made(), scale=20.0)
        if "Refrac" not in kind:
            # A copy has lost the hooks that Norse puts on its weights.
            assert check(net, copied=False).info.v_th == (0 if kind == "LSNN" else 1)
            return
        with recorded(net) as mpd:  # what is read is what would be spikes if nothing were refractory
            net(data())
        (layer,) = mpd.layers.values()
        assert layer.info.v_th == 1
        assert layer.statistics.count.tolist() == [N * C] * T
        assert layer.statistics.spikes[0] == net.spikes[0].sum()

    @pytest.mark.parametrize("kind", ["IAF", "LIF", "LIFAdEx", "LIFEx", "LSNN"])
    def test_layers(self, kind):
        norse = pytest.importorskip("norse.torch")
        torch.manual_seed(0)
        check(Network(getattr(norse, kind)(), scale=20.0, whole=True), copied=False)
        if hasattr(norse, f"{kind}Recurrent"):
            check(Network(getattr(norse, f"{kind}Recurrent")(C, C), scale=20.0, whole=True), copied=False)

    def test_readouts_are_no_neurons(self):
        norse = pytest.importorskip("norse.torch")
        net = norse.SequentialState(nn.Linear(9, C), norse.LIF(), nn.Linear(C, 3), norse.LI())
        with recorded(net) as mpd:
            net(20 * data())
        assert [layer.info.name for layer in mpd.layers.values()] == ["1"]


class TestNIR:
    def graph(self, r=1):
        nir, np = pytest.importorskip("nir"), pytest.importorskip("numpy")
        rng = np.random.default_rng(0)
        ones = np.ones(C)
        return nir.NIRGraph.from_list(
            nir.Input(input_type=np.array([9])),
            nir.Affine(weight=rng.normal(size=(C, 9)), bias=0.1 * ones),
            nir.LIF(tau=0.01 * ones, r=10 * ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones),
            nir.Affine(weight=rng.normal(size=(C, C)), bias=0.1 * ones),
            nir.IF(r=r * ones, v_threshold=ones, v_reset=0 * ones),
            nir.Output(output_type=np.array([C])),
        )

    def check(self, net, neurons, step, *, told=False):
        """Spikes of each of the modules `neurons`, by name; `told`: when a sequence begins."""
        emitted = {}

        def keep(name):
            def hook(_, __, output):
                spikes = output[0] if isinstance(output, tuple) else output
                emitted.setdefault(name, []).append(int((spikes > 0).sum()))

            return hook

        for name in neurons:
            net.get_submodule(name).register_forward_hook(keep(name))
        with warned(net) as (mpd, _):
            if told:
                mpd.new_sequence()
            state = None
            for x in data():
                state = step(x, state)
        recorded = {layer.info.name.removesuffix(".module"): layer for layer in mpd.layers.values()}
        assert {name: layer.statistics.spikes.tolist() for name, layer in recorded.items()} == emitted
        assert all(sum(spikes) > 0 for spikes in emitted.values())

    @pytest.mark.filterwarnings("ignore:nirtorch.load:DeprecationWarning")
    def test_norse(self):
        norse = pytest.importorskip("norse.torch")
        net = norse.from_nir(self.graph(), dt=0.001)
        cells = [name for name, module in net.named_modules() if "Cell" in type(module).__name__]
        assert len(cells) == 2, [(name, type(module)) for name, module in net.named_modules()]
        with torch.no_grad():
            self.check(net, cells, lambda x, state: net(x, state)[1])

    def test_snntorch(self):
        pytest.importorskip("snntorch")
        from snntorch.import_nir import import_from_nir

        net = import_from_nir(self.graph())
        snn = pytest.importorskip("snntorch")
        neurons = [name for name, module in net.named_modules() if isinstance(module, snn.SpikingNeuron)]
        assert len(neurons) == 2
        with torch.no_grad():
            self.check(net, neurons, lambda x, state: net(x, state)[1])

    def test_spikingjelly(self):
        pytest.importorskip("spikingjelly.activation_based.neuron")
        from spikingjelly.activation_based import functional, neuron
        from spikingjelly.activation_based.nir_exchange import import_from_nir

        net = import_from_nir(self.graph(r=1000), dt=0.001)
        functional.reset_net(net)
        # Its wrappers call the neurons' functions, not the neurons, and hand their state on.
        wrappers = [
            name.removesuffix(".module")
            for name, module in net.named_modules()
            if isinstance(module, neuron.BaseNode)
        ]
        assert len(wrappers) == 2
        with torch.no_grad():
            self.check(net, wrappers, lambda x, state: net(x, state)[1], told=True)
