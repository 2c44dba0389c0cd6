"""Recording other frameworks' networks against running them bare, beside their own monitors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import mpdviz
from mpdviz.bench import timing
from mpdviz.live import LiveRecording

CHANNELS = ((32, False), (64, True), (64, False), (128, True), (128, False))
"""Of each convolution, and whether pooling follows."""
Built = tuple[nn.Module, Tensor, Callable[[], Any]]
"""A network, its input, and what runs it from rest."""


def spikingjelly(size: str, timesteps: int, batch_size: int) -> Built:
    """SpikingJelly's LIF nodes in step mode m: a small VGG on 32x32 frames, or two dense layers (`tiny`)."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def spike() -> nn.Module:
        node: nn.Module = neuron.LIFNode(surrogate_function=surrogate.ATan())
        return node

    if size == "tiny":
        net = nn.Sequential(layer.Linear(20, 50), spike(), layer.Linear(50, 10), spike())
        x = torch.randn(timesteps, batch_size, 20) * 2
    else:
        parts, channels = [], 3
        for out, pooled in CHANNELS:
            parts += [layer.Conv2d(channels, out, 3, padding=1), layer.BatchNorm2d(out), spike()]
            parts += [layer.AvgPool2d(2)] if pooled else []
            channels = out
        net = nn.Sequential(*parts, layer.Flatten(), layer.Linear(channels * 64, 10))
        x = torch.randn(timesteps, batch_size, 3, 32, 32)
    functional.set_step_mode(net, "m")

    def run() -> Any:
        functional.reset_net(net)
        return net(x)

    return net, x, run


def snntorch(size: str, timesteps: int, batch_size: int) -> Built:
    """The same networks of snnTorch's Leaky neurons, stepped by their own loop."""
    import snntorch as snn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            parts: list[nn.Module] = []
            if size == "tiny":
                parts = [nn.Linear(20, 50), snn.Leaky(0.5, init_hidden=True), nn.Linear(50, 10)]
                parts.append(snn.Leaky(0.5, init_hidden=True))
            else:
                channels = 3
                for out, pooled in CHANNELS:
                    parts += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out)]
                    parts += [snn.Leaky(0.5, init_hidden=True)] + ([nn.AvgPool2d(2)] if pooled else [])
                    channels = out
                parts += [nn.Flatten(), nn.Linear(channels * 64, 10)]
            self.parts = nn.Sequential(*parts)

        def forward(self, x: Tensor) -> Tensor:
            for part in self.parts:
                if isinstance(part, snn.Leaky):
                    part.reset_mem()
            return torch.stack([self.parts(step) for step in x]).sum(0)

    net = Network()
    shape = (20,) if size == "tiny" else (3, 32, 32)
    x = torch.randn(timesteps, batch_size, *shape)
    return net, x, partial(net, x)


FRAMEWORKS: dict[str, Callable[[str, int, int], Built]] = {"SpikingJelly": spikingjelly, "snnTorch": snntorch}


@torch.no_grad()
def compare(framework: str, size: str, *, timesteps: int, batch_size: int, repeats: int) -> list[timing.Row]:
    """Times of the bare forward, of the framework's own monitor, and of the recorded one from the second on.

    Raises:
        AssertionError: recording changes the output.
    """
    torch.manual_seed(0)
    net, _, run = FRAMEWORKS[framework](size, timesteps, batch_size)
    net.eval()
    expected = run()
    with mpdviz.record(net) as mpd:
        assert torch.equal(run(), expected), "recording changes the output"
        run()
    runs: timing.Contenders = {"bare": run}
    monitored = _monitored(framework, net, run)
    if monitored is not None:
        runs["its own monitor"] = monitored
    runs["recorded"] = run
    times = timing.alternate(runs, repeats, {"recorded": partial(observing, mpd)})
    return timing.rows(f"{framework}, {size}, T={timesteps}, batch {batch_size}", times, times["bare"])


@contextmanager
def observing(mpd: LiveRecording) -> Iterator[None]:
    """Go on with a recording."""
    mpd._recorder.attach()
    try:
        yield
    finally:
        mpd._recorder.detach()


@contextmanager
def v_seq_kept(net: nn.Module) -> Iterator[list[Tensor]]:
    """Every `v_seq` (potentials after the reset) of SpikingJelly's LIF nodes, by its own monitor."""
    from spikingjelly.activation_based import monitor, neuron

    nodes = [node for node in net.modules() if isinstance(node, neuron.LIFNode)]
    for node in nodes:
        node.store_v_seq = True
    seen = monitor.AttributeMonitor("v_seq", pre_forward=False, net=net, instance=neuron.LIFNode)
    try:
        yield seen.records
    finally:
        seen.clear_recorded_data()
        seen.remove_hooks()
        for node in nodes:
            node.store_v_seq = False


def _monitored(framework: str, net: nn.Module, run: Callable[[], Any]) -> Callable[[], Any] | None:
    """The framework's monitor over the same forward; None where it has none for potentials."""
    if framework != "SpikingJelly":
        return None

    def watched() -> Any:
        with v_seq_kept(net):
            return run()

    return watched
