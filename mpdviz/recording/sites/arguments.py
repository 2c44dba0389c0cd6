"""What tells one call of a spike function from another, besides its potential: its other arguments."""

import weakref
from typing import Any

import torch
from torch import Tensor

LARGE = 1 << 16
"""Elements up to which an argument is known by its values, not by being the same tensor."""


def by_identity(others: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments that are known by being the same object; tensors weakly, since they may hold a graph."""
    found = (value for value in others if not has_values(value))
    return tuple(weakref.ref(value) if isinstance(value, Tensor) else value for value in found)


def live(held: tuple[Any, ...]) -> bool:
    """Whether none of the tensors that are known by identity is gone."""
    return all(value() is not None for value in held if isinstance(value, weakref.ref))


def has_values(value: Any) -> bool:
    """Whether an argument is known by its values."""
    if isinstance(value, Tensor):
        return value.numel() <= LARGE and value.dtype != torch.bfloat16
    try:
        hash(value)
    except TypeError:
        return False
    return True


def fingerprint(value: Any) -> Any:
    """What an argument is known again by."""
    if not has_values(value):
        return (id(value), value._version) if isinstance(value, Tensor) else id(value)
    if isinstance(value, Tensor):
        known = value.detach()
        return (known.dtype, tuple(known.shape), known.cpu().contiguous().numpy().tobytes())
    return (type(value), value)


def is_plain(value: Any) -> bool:
    """Whether nothing about an argument can change without its fingerprint."""
    plain = Tensor | float | int | str | torch.dtype | None
    return isinstance(value, plain) and has_values(value)
