"""What a network's output says: class scores, a loss, and how many samples are classified right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mpdviz.errors import BadInput


def first(output: Any) -> Any:
    """The output itself, of a network that returns states or other things besides."""
    while True:
        if isinstance(output, tuple | list) and output:
            output = output[0]
        elif isinstance(output, dict) and ("logits" in output or len(output) == 1):
            output = output["logits"] if "logits" in output else next(iter(output.values()))
        else:
            return output


def stacked(outputs: Sequence[Any]) -> Any:
    """What a network returned at every timestep as one: tensors `[T, ...]` in the containers it returns.

    What is no tensor, or of another shape at every timestep, is a list.
    """
    one = outputs[0]
    if isinstance(one, Tensor):
        alike = all(isinstance(other, Tensor) and other.shape == one.shape for other in outputs)
        return torch.stack(list(outputs)) if alike else list(outputs)
    if isinstance(one, tuple | list) and all(
        type(other) is type(one) and len(other) == len(one) for other in outputs
    ):
        members = [stacked(member) for member in zip(*outputs, strict=True)]
        return type(one)(*members) if hasattr(one, "_fields") else type(one)(members)
    if isinstance(one, dict) and all(
        isinstance(other, dict) and other.keys() == one.keys() for other in outputs
    ):
        return {name: stacked([other[name] for other in outputs]) for name in one}
    return list(outputs)


def scores(output: Any, samples: int, *, time_axis: int = 0) -> Tensor | None:
    """Class scores `[N, K]`, a mean over time where there is one; None where the output has no such form.

    Args:
        output: what the network returned.
        samples: N.
        time_axis: where time lies if that cannot be told from the shape.
    """
    logits = logits_over_time(output, samples, time_axis=time_axis)
    return logits if logits is None else logits.mean(0)


def logits_over_time(output: Any, samples: int, *, time_axis: int = 0) -> Tensor | None:
    """The same `[T, N, K]`, T = 1 where there is no time.

    Args:
        output: what the network returned.
        samples: N.
        time_axis: where time lies if that cannot be told from the shape.
    """
    logits = first(output)
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        return None
    if logits.dim() == 2 and len(logits) == samples:
        return logits.unsqueeze(0)
    if logits.dim() != 3:
        return None
    axes = [axis for axis, batch in ((0, 1), (1, 0), (2, 0)) if logits.shape[batch] == samples]
    if not axes:
        return None
    wanted = time_axis % 3
    return logits.movedim(wanted if wanted in axes else axes[0], 0)


@dataclass(frozen=True)
class Judge:
    """Holds outputs against the targets of the data."""

    classes: int
    """Number of classes that the labels tell apart; 0 where they are no class labels."""
    about: str = ""
    """Why there are none, or what there is to say about them."""
    loss: Callable[[Any, Tensor | None], Any] | None = None
    """Given what the network returned and the targets, its loss; None: cross-entropy of the class scores."""
    fewer: bool = False
    """Whether the network, known to give class scores, may have more classes than are in these labels."""

    def complaint(self, logits: Tensor | None) -> str:
        """Why these are no scores of the classes; empty where they are."""
        if not self.classes:
            return self.about
        if logits is None:
            return "the output is no class scores"
        outputs = logits.shape[1]
        fits = outputs >= self.classes if self.fewer else outputs == self.classes
        return "" if fits else f"{outputs} outputs for {self.classes} classes"

    def correct(self, logits: Tensor, y: Tensor) -> int:
        """How many samples are classified right."""
        return int((logits.detach().argmax(1).cpu() == y.cpu()).sum())

    def loss_of(self, output: Any, logits: Tensor | None, y: Tensor) -> Tensor:
        """The loss to take gradients of.

        Raises:
            BadInput: there is none: the output is no class scores, or the user's function gives no loss.
        """
        if self.loss is None:
            why = self.complaint(logits)
            if why or logits is None:
                raise BadInput(f"`gradients`: {why}", "give `loss`, a function of output and target")
            return F.cross_entropy(logits, y)
        loss = self.loss(output, y if y.numel() else None)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            found = f"{list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise BadInput(f"`loss` returns {found}", "let it return one number, a tensor")
        if not loss.requires_grad:
            raise BadInput("`loss` does not depend on the output", "let it return what can be differentiated")
        return loss
