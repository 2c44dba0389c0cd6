"""Named networks; a new one is a file beside this one and a line in NETWORKS."""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

from mpdviz import surrogates
from mpdviz.errors import BadInput, unknown_name
from mpdviz.networks.base import SpikingNetwork
from mpdviz.networks.blocks import NeuronSpec
from mpdviz.networks.convsnn import ConvSNN
from mpdviz.networks.resnet19 import ResNet19
from mpdviz.networks.vggsnn import VGGSNN

NETWORKS: dict[str, Callable[..., SpikingNetwork]] = {
    "convsnn": ConvSNN,
    "resnet19": ResNet19,
    "vggsnn": VGGSNN,
}


def build(
    name: str,
    *,
    strategy: str = "mpd-agl",
    timesteps: int,
    num_classes: int,
    neuron: str = "lif",
    decay: float = 0.2,
    v_th: float = 0.5,
    gamma: float = 1.0,
    surrogate: str = "rectangular",
    **options: Any,
) -> SpikingNetwork:
    """A network with fresh weights, drawn from torch's global random numbers.

    Args:
        name: `convsnn`, `resnet19` or `vggsnn`.
        strategy: width strategy, e.g. `mpd-agl` or `fixed:kappa=2.5`.
        timesteps: T.
        num_classes: size of the logits.
        neuron: `lif` or `plif`.
        decay: the neurons' decay (where a learned one starts).
        v_th: the neurons' and the tdBN's threshold.
        gamma: initial weight of every tdBN, v_th excluded.
        surrogate: shape of the surrogate derivative.
        options: sizes of the network: `in_channels`, `image_size`, `encode_channels`, `planes`, `hidden`.

    Raises:
        BadInput: an unknown name or option, or a value out of range.
    """
    if name not in NETWORKS:
        raise unknown_name("model", name, NETWORKS)
    network = NETWORKS[name]
    sizes = [parameter for parameter in inspect.signature(network).parameters if parameter != "spec"]
    for option in options:
        if option not in sizes:
            raise unknown_name(f"option of model {name!r}:", option, sizes)
    planes = options.get("planes")
    if planes is not None:
        expected = len(inspect.signature(network).parameters["planes"].default)
        if len(planes) != expected:
            raise BadInput(f"model {name!r}: planes={list(planes)}", f"give {expected} channel counts")
    for option, size in {"num_classes": num_classes, **options}.items():
        if min(size if isinstance(size, Sequence) else (size,)) < 1:
            raise BadInput(f"model {name!r}: {option}={size}", "give at least 1")
    if not 0 < gamma < math.inf:
        raise BadInput(f"initial weight gamma={gamma}", "give a positive number")
    spec = NeuronSpec(strategy, neuron, decay, v_th, gamma, surrogates.get(surrogate))
    return network(spec, timesteps=timesteps, num_classes=num_classes, **options)
