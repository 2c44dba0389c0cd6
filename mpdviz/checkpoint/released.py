"""The reference implementation's released checkpoints: a dict with the state dict under `net`.

Its names and sizes, translated to ours:

    released                                   ours
    encode.0.layer.weight                      encode.conv.weight
    encode.0.bn.*                              encode.norm.*
    encode.1.neuron.w                          encode.neuron.w                 (PLIF only)
    ResNetBlocks.I.0.convK.layer.weight        blocks.I.convK.conv.weight      (ResNet-19; K = 1, 2)
    ResNetBlocks.I.0.convK.bn.*                blocks.I.convK.norm.*
    ResNetBlocks.I.0.spikeK.neuron.w           blocks.I.convK.neuron.w
    ResNetBlocks.I.0.downsample.0.layer.weight blocks.I.downsample.conv.weight
    ResNetBlocks.I.0.downsample.0.bn.*         blocks.I.downsample.norm.*
    ResNetBlocks.I.0.downsample.1.neuron.w     blocks.I.downsample.neuron.w
    fc.0.layer.weight, fc.0.bn.*, fc.1.*       hidden.linear.weight, hidden.norm.*, hidden.*
    fc.2.layer.weight                          head.weight
    features.J.layer.weight, features.J.bn.*   features.K.conv.weight, features.K.norm.*   (VGGSNN)
    features.J+1.neuron.w                      features.K.neuron.w
    classifier.0.layer.*                       head.*

(* is weight, bias, running_mean or running_var; `num_batches_tracked` is dropped: nothing reads it.)
In VGGSNN a released stage is two entries (synapses, then neuron) and ours one; pools stand alone in both.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpdviz.checkpoint.archive import fill
from mpdviz.checkpoint.ours import Checkpoint, build_network
from mpdviz.errors import BadInput
from mpdviz.networks.vggsnn import STAGES

DEFAULTS: dict[str, Any] = {"strategy": "mpd-agl", "decay": 0.2, "v_th": 0.5}
"""What a released file does not hold, with the reference's values."""
TIMESTEPS = {"resnet19": 2, "vggsnn": 10}

_RESNET = (
    (r"ResNetBlocks\.(\d+)\.0\.conv([12])\.layer\.", r"blocks.\1.conv\2.conv."),
    (r"ResNetBlocks\.(\d+)\.0\.conv([12])\.bn\.", r"blocks.\1.conv\2.norm."),
    (r"ResNetBlocks\.(\d+)\.0\.spike([12])\.neuron\.", r"blocks.\1.conv\2.neuron."),
    (r"ResNetBlocks\.(\d+)\.0\.downsample\.0\.layer\.", r"blocks.\1.downsample.conv."),
    (r"ResNetBlocks\.(\d+)\.0\.downsample\.0\.bn\.", r"blocks.\1.downsample.norm."),
    (r"ResNetBlocks\.(\d+)\.0\.downsample\.1\.neuron\.", r"blocks.\1.downsample.neuron."),
    (r"fc\.0\.layer\.", "hidden.linear."),
    (r"fc\.0\.bn\.", "hidden.norm."),
    (r"fc\.1\.neuron\.", "hidden.neuron."),
    (r"fc\.2\.layer\.", "head."),
)
_COMMON = (
    (r"encode\.0\.layer\.", "encode.conv."),
    (r"encode\.0\.bn\.", "encode.norm."),
    (r"encode\.1\.neuron\.", "encode.neuron."),
    (r"classifier\.0\.layer\.", "head."),
)


def _vggsnn_rules() -> list[tuple[str, str]]:
    rules, position = [], 0
    for stage, plane in enumerate(STAGES):
        if plane == "P":
            position += 1
            continue
        rules += [
            (rf"features\.{position}\.layer\.", f"features.{stage}.conv."),
            (rf"features\.{position}\.bn\.", f"features.{stage}.norm."),
            (rf"features\.{position + 1}\.neuron\.", f"features.{stage}.neuron."),
        ]
        position += 2
    return rules


_RULES = [(re.compile("^" + old), new) for old, new in (*_COMMON, *_RESNET, *_vggsnn_rules())]


def looks_released(names: Mapping[str, Any]) -> bool:
    """Whether a state dict's names are those of the reference's networks."""
    return "encode.0.layer.weight" in names and (
        "fc.2.layer.weight" in names or "classifier.0.layer.weight" in names
    )


def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The released state dict under our names; a name that no rule knows keeps its own."""
    renamed = {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        for old, new in _RULES:
            ours, hits = old.subn(new, name)
            if hits:
                name = ours
                break
        renamed[name] = tensor
    return renamed


def infer(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of `networks.build` that the tensors of a renamed released state dict tell.

    Raises:
        KeyError: a tensor that fixes a size is missing.
    """
    encode, head = state["encode.conv.weight"], state["head.weight"]
    known: dict[str, Any] = {
        "neuron": "plif" if "encode.neuron.w" in state else "lif",
        "num_classes": len(head),
        "in_channels": encode.shape[1],
        "encode_channels": len(encode),
    }
    if "hidden.linear.weight" in state:
        planes = tuple(len(state[f"blocks.{i}.conv1.conv.weight"]) for i in (0, 3, 6))
        return known | {"name": "resnet19", "planes": planes, "hidden": len(state["hidden.linear.weight"])}
    first_of_plane = (STAGES.index(plane) for plane in range(3))
    planes = tuple(len(state[f"features.{stage}.conv.weight"]) for stage in first_of_plane)
    side = round((head.shape[1] / planes[-1]) ** 0.5)
    return known | {"name": "vggsnn", "planes": planes, "image_size": side << STAGES.count("P")}


def restore(path: Path, content: dict[str, Any], given: dict[str, Any]) -> Checkpoint:
    """The checkpoint in the `content` of an archive; `given` are the options of `checkpoint.load`.

    Raises:
        BadInput: not one of the released networks, or a decay for learned ones.
    """
    state = content.get("net", content)
    if not (isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())):
        raise BadInput(
            f"{path} is neither a checkpoint of mpdviz nor a released one (a state dict under 'net')",
            f"it holds {', '.join(map(str, list(content)[:5]))}: give the file that holds the weights",
        )
    if not looks_released(state):
        first = next(iter(state.items()), ("nothing at all", torch.empty(0)))
        raise BadInput(
            f"{path} holds the state dict of another architecture: missing 'encode.0.layer.weight', "
            f"unexpected {first[0]!r} {list(first[1].shape)}",
            "give a released ResNet-19 or VGGSNN, or a checkpoint made by mpdviz train",
        )
    state = rename(state)
    try:
        known = infer(state)
    except KeyError as error:
        raise BadInput(
            f"{path}: missing {error} of the released networks", "give the whole state dict"
        ) from None
    except (IndexError, TypeError, ZeroDivisionError, RuntimeError):
        raise BadInput(
            f"{path}: tensors of the released networks' names but other shapes", "give a released checkpoint"
        ) from None
    best = content.get("best_acc")
    assumed = DEFAULTS | {"timesteps": TIMESTEPS[known["name"]]}
    if known["neuron"] == "plif":
        if "decay" in given:
            raise BadInput(f"{path} holds learned decays (PLIF)", "leave `decay` out")
        del assumed["decay"]
    architecture, network = build_network(assumed | known | given, state, path)
    fill(network, state, path)
    return Checkpoint(
        path,
        network,
        architecture,
        None,
        {"test_accuracy": best / 100} if isinstance(best, int | float) else {},
        assumed={option: value for option, value in assumed.items() if option not in given},
    )
