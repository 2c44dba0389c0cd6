"""Other frameworks' LIF layers with our constants, where they are installed.

Both compute nearly the same neuron: SpikingJelly rounds v - v / tau + x where we round decay * v + x, so a
few spikes at the threshold differ; snnTorch fires on `>`, and its reset has no gradient.
"""

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from mpdviz.bench.timing import CPU

Forward = Callable[[Tensor], Tensor]


def spikingjelly_lif(decay: float, v_th: float, device: torch.device = CPU) -> Forward:
    """SpikingJelly's multi-step LIFNode, hard reset, rectangular surrogate.

    It picks what it runs by itself: torch operations on a CPU; 2.0 has kernels of its own for CUDA, and no
    backend to choose, CuPy or other.
    """
    from spikingjelly.activation_based import functional, surrogate
    from spikingjelly.activation_based.neuron import LIFNode

    node = LIFNode(
        tau=1 / (1 - decay),
        decay_input=False,
        v_threshold=v_th,
        v_reset=0.0,
        surrogate_function=surrogate.Rect(alpha=1.0),
        step_mode="m",
    ).to(device)

    def run(current: Tensor) -> Tensor:
        functional.reset_net(node)
        spikes: Tensor = node(current)
        return spikes

    return run


def snntorch_leaky(decay: float, v_th: float, device: torch.device = CPU) -> Forward:
    """Leaky of snnTorch in the loop of its tutorials, reset to zero, its default surrogate."""
    import snntorch

    node = snntorch.Leaky(beta=decay, threshold=v_th, reset_mechanism="zero").to(device)

    def run(current: Tensor) -> Tensor:
        mem, spikes = node.init_leaky(), []
        for step in current:
            spike, mem = node(step, mem)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


PEERS: dict[str, Callable[[float, float, torch.device], Forward]] = {
    "spikingjelly": spikingjelly_lif,
    "snntorch": snntorch_leaky,
}


def installed(decay: float, v_th: float, device: torch.device = CPU) -> dict[str, Forward]:
    """The layers whose packages are here, by package."""
    return {name: make(decay, v_th, device) for name, make in PEERS.items() if find_spec(name) is not None}
