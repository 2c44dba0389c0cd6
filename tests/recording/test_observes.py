"""Recording watches and changes nothing: outputs, gradients, random numbers, hooks, whatever happens."""

import contextlib
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from networks import small
from recording_twin import rng
from tiers import thorough_but
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack as dispatch_modes

import mpdviz
from mpdviz.errors import BadInput
from mpdviz.kernels import backends
from mpdviz.neurons import LIF, Neuron
from mpdviz.norm import TDBatchNorm1d
from mpdviz.recording.measure import meter


def network(**options):
    return small(seed=3, **options)


class Noisy(nn.Module):
    """Draws random numbers of all three kinds in its forward."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.neuron = nn.Linear(6, 8), TDBatchNorm1d(8), LIF()
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(8, 3)

    def forward(self, x):
        x = x * (1 + 0.1 * random.random() + 0.1 * np.random.random())
        return self.head(self.drop(self.neuron(self.norm(self.first(x)))))


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x > 0).to(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient / (1 + (ctx.slope * x) ** 4), None  # a shape of nobody's


def by_function(u):
    return Step.apply(u, 2.0)


def straight_through(u):
    soft = torch.sigmoid(4 * u)
    return ((u > 0).to(u) - soft).detach() + soft


class ByHand(nn.Module):
    """Neurons that nobody knows, with an own way to spike; draws random numbers."""

    def __init__(self, spike, shortcut=False):
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(6, 8), nn.Linear(8, 8), nn.BatchNorm1d(8)
        self.drop, self.spike, self.shortcut = nn.Dropout(0.3), spike, shortcut
        self.threshold = nn.Parameter(torch.tensor(0.7))

    def forward(self, x):
        v = w = torch.zeros(x.shape[1], 8)
        out = 0
        for step in x * (1 + 0.1 * np.random.random()):
            v = 0.5 * v + self.norm(self.first(step))
            s = self.spike(v - self.threshold)
            v = v * (1 - s)
            current = self.second(self.drop(s))
            w = 0.5 * w + (self.shortcut * v + current)
            z = self.spike(w - self.threshold)
            w = w - z * self.threshold
            out = out + z
        return out


class Theirs(nn.Module):
    """Neurons of a framework, two layers, put to rest at each forward."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 8)
        self.drop = nn.Dropout(0.3)
        if kind == "spikingjelly":
            neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
            self.one, self.two = neuron.LIFNode(step_mode="m"), neuron.ParametricLIFNode(step_mode="m")
        elif kind == "snntorch":
            snn = pytest.importorskip("snntorch")
            self.one = snn.Leaky(beta=0.5, learn_threshold=True, learn_beta=True)
            self.two = snn.Synaptic(0.5, 0.6, reset_mechanism="zero")
        else:
            norse = pytest.importorskip("norse.torch")
            self.one, self.two = norse.LIFCell(dt=0.004), norse.LIFRecurrentCell(8, 8, dt=0.004)

    def forward(self, x):
        if self.kind == "spikingjelly":
            self.one.reset()
            self.two.reset()
            return self.two(self.second(self.drop(self.one(self.first(x)))))
        if self.kind == "snntorch":
            mem, (syn, last) = self.one.init_leaky(), self.two.init_synaptic()
        one = two = None
        out = 0
        for step in x:
            if self.kind == "snntorch":
                s, mem = self.one(self.first(step), mem)
                z, syn, last = self.two(self.second(self.drop(s)), syn, last)
            else:
                s, one = self.one(3 * self.first(step), one)
                z, two = self.two(self.second(self.drop(s)), two)
            out = out + z
        return out


def seeded_model(make):
    torch.manual_seed(5)
    return make()


MODELS = {
    "function": (lambda: seeded_model(lambda: ByHand(by_function)), (3, 7, 6)),
    "shortcut": (lambda: seeded_model(lambda: ByHand(by_function, shortcut=True)), (3, 7, 6)),
    "straight through": (lambda: seeded_model(lambda: ByHand(straight_through)), (3, 7, 6)),
    "spikingjelly": (lambda: seeded_model(lambda: Theirs("spikingjelly")), (3, 7, 6)),
    "snntorch": (lambda: seeded_model(lambda: Theirs("snntorch")), (3, 7, 6)),
    "norse": (lambda: seeded_model(lambda: Theirs("norse")), (3, 7, 6)),
    "convsnn": (network, (4, 1, 8, 8)),
    "plif": (lambda: network(neuron="plif", surrogate="atan"), (4, 1, 8, 8)),
    "noisy": (lambda: (torch.manual_seed(5), Noisy())[1], (3, 7, 6)),
}
OPTIONS = {
    "plain": {},
    "gradients": {"gradients": True},
    "every": {"every": 2},
    "layers": {"layers": [1], "gradients": True},
    "what-if": {"what_if": (0.3, 2.0), "epsilon": 0.3},
}


def seeded():
    torch.manual_seed(11)
    np.random.seed(11)
    random.seed(11)


def states():
    return torch.get_rng_state().tolist(), repr(np.random.get_state()), repr(random.getstate())


def training(model, shape, around):
    """Logits, gradients, buffers and random states of three training steps."""
    seeded()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    kept = []
    with around:
        for _ in range(3):
            logits = model(torch.randn(shape))
            optimizer.zero_grad()
            logits.square().sum().backward()
            kept += [logits.detach().clone(), *(p.grad.clone() for p in model.parameters())]
            optimizer.step()
    kept += [tensor.clone() for tensor in model.state_dict().values()]
    return kept, states()


def hooks(model):
    """Everything that could hang on a model: every hook table of every module, and every observer."""
    count = 0
    for module in model.modules():
        tables = {**torch.nn.Module.__dict__, **vars(module)}
        for name in tables:
            if "hooks" in name and isinstance(getattr(module, name, None), dict):
                count += len(getattr(module, name))
        count += len(module.observers + module.readers) if isinstance(module, Neuron) else 0
    for parameter in model.parameters():
        count += len(parameter._backward_hooks or {})
    return count


@pytest.mark.parametrize("compile_after", thorough_but([0], [0, 1 << 60]))
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", MODELS)
def test_training_is_bit_for_bit_the_same(monkeypatch, name, options, compile_after):
    monkeypatch.setattr(meter, "SCAN_AFTER", compile_after)
    make, shape = MODELS[name]
    bare, bare_states = training(make(), shape, contextlib.nullcontext())
    model = make()
    own = hooks(model)  # Norse's, say, of its recurrent weights
    watched, watched_states = training(model, shape, mpdviz.record(model, **options))
    assert len(bare) == len(watched)
    assert all(torch.equal(one, other) for one, other in zip(bare, watched, strict=True))
    assert bare_states == watched_states
    assert hooks(model) == own


@pytest.mark.parametrize(
    "around",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", torch.bfloat16),
        contextlib.nullcontext,
    ],
    ids=["no_grad", "inference_mode", "autocast", "grad"],
)
def test_evaluation_is_bit_for_bit_the_same(around):
    model = network().eval()
    x = torch.randn(5, 1, 8, 8, generator=rng())
    with around():
        bare = model(x)
        before = states()
        with mpdviz.record(model) as mpd:
            first, second = model(x), model(x)
    assert before == states()
    assert torch.equal(bare, first)
    assert torch.equal(bare, second)
    assert bare.dtype == first.dtype
    assert mpd.table()["count"].iloc[0] == 2 * 5 * 4 * 64
    assert (mpd.table()["firing_rate"] > 0).any()
    assert all(np.isfinite(layer.info.fan_out) and layer.info.fan_out > 0 for layer in mpd.layers.values())


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"])
def test_synops_do_not_depend_on_the_gradient_mode(around):
    model, x = network().eval(), torch.randn(5, 1, 8, 8, generator=rng())
    with mpdviz.record(model) as usual:
        model(x)
    with around(), mpdviz.record(model) as other:
        model(x)
    assert other.table().equals(usual.table())


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_parameters_are_untouched(training):
    model = network().train(training)
    flags = [(module.training, tuple(vars(module))) for module in model.modules()]
    with mpdviz.record(model, gradients=True):
        model(torch.randn(4, 1, 8, 8, generator=rng()))
        assert [(module.training, tuple(vars(module))) for module in model.modules()] == flags
    assert [(module.training, tuple(vars(module))) for module in model.modules()] == flags
    assert hooks(model) == 0


class Fails(nn.Module):
    """Raises what it is told to, after its first neuron layer ran."""

    def __init__(self):
        super().__init__()
        self.error: BaseException | None = None
        self.first, self.neuron = nn.Linear(4, 5), LIF()
        self.second, self.last = nn.Linear(5, 6), LIF()
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        x = self.neuron(self.first(x))
        if self.error is not None:
            raise self.error
        return self.head(self.last(self.second(x)))


ERRORS = [ValueError("no"), KeyboardInterrupt(), SystemExit(3)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("earlier", [0, 1])
def test_nothing_stays_after_a_failure(error, earlier):
    model, x = Fails(), torch.randn(2, 3, 4, generator=rng())

    def fail():
        with mpdviz.record(model, gradients=True):
            for _ in range(earlier):
                model(x).sum().backward()
            model.error = error
            model(x)

    with pytest.raises(type(error)):
        fail()
    modes = len(dispatch_modes())
    while dispatch_modes():  # for the tests after this one
        dispatch_modes()[-1].__exit__(None, None, None)
    assert modes == 0
    assert hooks(model) == 0


def test_a_failure_between_forwards():
    model = network()

    def fail():
        with mpdviz.record(model):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert hooks(model) == 0


def test_wiring_is_known_even_where_the_first_forward_failed():
    model, x = Fails(), torch.randn(2, 3, 4, generator=rng())
    with mpdviz.record(model) as mpd:
        model.error = ValueError()
        with pytest.raises(ValueError):  # noqa: PT011
            model(x)
        model.error = None
        model(x)
    assert [layer.info.fan_out for layer in mpd.layers.values()] == [6, 2]


def test_the_chosen_backend_is_as_before(monkeypatch):
    monkeypatch.setattr(backends, "_chosen", "compiled")
    model, x = Fails(), torch.randn(2, 3, 4, generator=rng())
    with mpdviz.record(model), mpdviz.record(model):
        model(x)  # traced, so run by the eager backend
        assert backends.active() == "compiled"
    model.error = KeyboardInterrupt()

    def interrupted():
        with mpdviz.record(model), mpdviz.record(model):
            model(x)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    chosen = backends.active()
    while dispatch_modes():
        dispatch_modes()[-1].__exit__(None, None, None)
    assert chosen == "compiled"


def test_nested_recordings_see_the_same():
    model, x = network(), torch.randn(4, 1, 8, 8, generator=rng())
    with mpdviz.record(model, gradients=True) as outer:
        with mpdviz.record(model, gradients=True) as inner:
            model(x).sum().backward()
        assert outer.table().equals(inner.table())
        assert outer.layer_table().equals(inner.layer_table())
        assert outer.table()["synops"].gt(0).any()
        model(x).sum().backward()
    assert (outer.table()["count"] == 2 * inner.table()["count"]).all()
    assert hooks(model) == 0
    assert not dispatch_modes()


def test_other_peoples_hooks_stay():
    model = network()
    seen = []
    handle = model.encode.register_forward_hook(lambda *_: seen.append(1))
    model.encode.neuron.observers.append(lambda *_: seen.append(2))
    with mpdviz.record(model):
        model(torch.randn(4, 1, 8, 8, generator=rng()))
    model(torch.randn(4, 1, 8, 8, generator=rng()))
    assert seen == [2, 1, 2, 1]
    handle.remove()
    model.encode.neuron.observers.clear()
    assert hooks(model) == 0


def test_what_was_recorded_stays_after_the_block():
    model, x = network(), torch.randn(4, 1, 8, 8, generator=rng())
    with mpdviz.record(model, gradients=True) as mpd:
        model(x).sum().backward()
        late = model(x).sum()
    before = mpd.table()
    late.backward()
    model(x).sum().backward()
    assert mpd.table().equals(before)


def test_readable_inside_and_empty_before_the_first_forward():
    model, x = network(), torch.randn(4, 1, 8, 8, generator=rng())
    with mpdviz.record(model) as mpd:
        assert len(mpd.table()) == len(mpd.layer_table()) == len(mpd.verdicts()) == 0
        model(x)
        once = mpd.table()
        model(x)
        assert (mpd.table()["count"] == 2 * once["count"]).all()


def compiled_inside():
    model = network()
    model.encode = torch.compile(model.encode)
    return model


def compiled_in_place():
    model = network()
    model.compile()
    return model


@pytest.mark.parametrize("make", [lambda: torch.compile(network()), compiled_inside, compiled_in_place])
def test_a_compiled_model_is_refused(make):
    model = make()
    with pytest.raises(BadInput, match="compiled"), mpdviz.record(model):
        pass
    assert hooks(model) == 0


def test_recording_does_not_load_the_compiler_of_torch():
    # torch._dynamo takes a second and 90 MB; nothing compiles just in time in a short job.
    program = """
import sys, torch, mpdviz
from mpdviz.neurons import LIF
neuron = LIF()
with mpdviz.record(neuron, gradients=True) as mpd:
    neuron(torch.ones(2, 3, 4, requires_grad=True) * 1).sum().backward()
mpd.table()
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
