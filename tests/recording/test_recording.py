"""What a recording shows of itself: one line, a short table, and every figure that exists."""

import subprocess
import sys

import pytest
import torch
from matplotlib.figure import Figure
from networks import small

import mpdviz
from mpdviz import figures, surrogates
from mpdviz.api import load_recording
from mpdviz.errors import BadInput
from mpdviz.neurons import LIF


@pytest.fixture(scope="module")
def mpd():
    network = small(seed=0, timesteps=4)
    with mpdviz.record(network, gradients=True) as recording:
        for size in (5, 2):
            network(torch.randn(size, 1, 8, 8)).square().sum().backward()
    return recording


def test_one_line_says_what_there_is_and_where_least_is_available(mpd, tmp_path):
    table = mpd.table()
    worst = table.loc[table["available_ratio"].idxmin()]
    expected = (
        f"Recording(5 layers, T=4, 7 samples; lowest available share {100 * worst['available_ratio']:.1f} % "
        f"in layer {worst['layer']} ({worst['name']}) at t={worst['timestep']})"
    )
    assert repr(mpd) == expected
    mpd.save(tmp_path / "run.npz")
    assert repr(load_recording(tmp_path / "run.npz")) == expected


def test_one_line_of_little_or_nothing():
    neuron = LIF()
    with mpdviz.record(neuron) as mpd:
        assert repr(mpd) == "Recording(nothing recorded)"
        assert "nothing recorded" in mpd._repr_html_()
        assert mpd.samples == 0
        neuron(torch.full((2, 1, 4), float("nan")))
        assert repr(mpd) == "Recording(1 layer, T=2, 1 sample)"
        neuron(torch.full((2, 3, 4), 0.4))
        assert repr(mpd) == (
            "Recording(1 layer, T=2, 4 samples; lowest available share 100.0 % in layer 1 (LIF) at t=1)"
        )


def test_a_notebook_shows_a_row_a_layer(mpd):
    html = mpd._repr_html_()
    assert html.count("<tr>") + html.count("<tr ") == 1 + len(mpd.layers)
    assert all(name in html for name in mpd.table()["name"])
    lowest = mpd.table().groupby("layer")["available_ratio"].min()
    assert all(f"<td>{100 * share:.1f} %</td>" in html for share in lowest)
    for share in mpd.table()["available_ratio"]:  # the map
        assert f'title="{100 * share:.1f} %"' in html
    assert mpd.answer() in html


def test_looking_does_not_end_a_sequence():
    def run(look):
        torch.manual_seed(1)
        neuron = pytest.importorskip("spikingjelly.activation_based.neuron").LIFNode()
        with mpdviz.record(neuron) as mpd:
            for _ in range(2):
                neuron.reset()
                for step in torch.randn(3, 2, 5):
                    neuron(step)
                    look(mpd)
        return mpd.table()

    bare = run(lambda _: None)
    assert bare["timestep"].tolist() == [1, 2, 3]
    assert bare["count"].tolist() == [20] * 3
    assert run(repr).equals(bare)


@pytest.mark.thorough
@pytest.mark.parametrize("name", figures.FIGURES)
def test_every_figure_can_be_plotted(mpd, name):
    assert isinstance(mpd.plot(name), Figure)
    assert isinstance(mpd.plot(name, 2), Figure)


def test_a_figure_of_one_layer_is_of_the_worst_unless_told(mpd):
    lowest = mpd.table().groupby("layer")["available_ratio"].min()
    worst, other = int(lowest.idxmin()), int(lowest.idxmax())

    def lines(figure):
        figure.draw_without_rendering()
        return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]

    drawn, asked, another = (lines(mpd.plot("distribution", layer)) for layer in (None, worst, other))
    assert drawn == asked
    assert drawn != another


def test_figures_that_cannot_be(mpd):
    with pytest.raises(BadInput, match="did you mean 'ridge'"):
        mpd.plot("rigde")
    for layer in (0, 6):
        with pytest.raises(BadInput, match=f"no layer {layer}"):
            mpd.plot("distribution", layer)
    neuron = LIF()
    with mpdviz.record(neuron) as short:
        with pytest.raises(BadInput, match="nothing was recorded"):
            short.plot("distribution")
        neuron(torch.ones(2, 3, 4))
        with pytest.raises(BadInput, match="grad_norm"):
            short.plot("gradient_norm")


def test_samples_are_those_of_a_layer_however_often_it_runs():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.shared, self.last = LIF(), LIF()

        def forward(self, x):
            return self.last(self.shared(self.shared(x)))

    model = Twice()
    with mpdviz.record(model) as mpd:
        model(torch.rand(2, 3, 4))
    assert len(mpd.layers) == 3  # one module at two places, and another
    assert mpd.table()["count"].tolist() == [12] * 6
    assert mpd.samples == 3


def test_a_failing_block_raises_its_own_error_even_where_the_network_cannot_be_read_any_more():
    class Gone(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.gone = LIF(), False

        def forward(self, x):
            return self.neuron(x)

        def state_dict(self, *args, **kwargs):
            if self.gone:
                raise RuntimeError("the device is lost")
            return super().state_dict(*args, **kwargs)

    model = Gone()
    with pytest.raises(ValueError, match="own error"), mpdviz.record(model):  # noqa: PT012 - it fails late
        model(torch.zeros(2, 1, 3))
        model.gone = True
        raise ValueError("own error")
    assert not model.neuron.observers + model.neuron.readers


def test_an_interval_is_looked_for_once_however_many_timesteps_have_it():
    asked = []

    class Slow(surrogates.ATan):
        def half_width(self, epsilon=surrogates.EPSILON):
            asked.append(epsilon)
            return super().half_width(epsilon)

    counts = []
    for timesteps in (3, 30):
        asked.clear()
        model = torch.nn.Sequential(LIF(surrogate=Slow()))
        with mpdviz.record(model):
            model(torch.zeros(timesteps, 2, 3))
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_functions_that_are_only_probed_are_told_apart():
    class Odd(torch.autograd.Function):
        """Of a form that no closed one is."""

        @staticmethod
        def forward(ctx, x, slope):
            ctx.save_for_backward(x)
            ctx.slope = slope
            return (x >= 0).to(x)

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return gradient / (1 + (ctx.slope * x) ** 4), None

    class Two(torch.nn.Module):
        def forward(self, x):
            return Odd.apply(Odd.apply(x - 0.3, 1.0) * x - 0.2, 4.0)

    model = Two()
    with mpdviz.record(model) as mpd:
        model(torch.randn(5, 7))
    one, other = mpd.layers.values()
    assert one.info.surrogate == other.info.surrogate == "Odd"
    (one,), (other,) = one.info.upper, other.info.upper
    assert one == pytest.approx(9**0.25, rel=1e-6)  # 1 / (1 + z^4) = 0.1
    assert one == pytest.approx(4 * other, rel=1e-6)


def test_a_program_may_end_inside_of_a_recording():
    program = """
import snntorch, torch, mpdviz
net = torch.nn.Sequential(torch.nn.Linear(4, 3), snntorch.Leaky(0.5, init_hidden=True))
with torch.no_grad():
    opened = mpdviz.record(net)
    opened.__enter__()
    net(torch.randn(2, 4))
    net(torch.randn(2, 4))
"""
    pytest.importorskip("snntorch")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
