"""What tells one call of a spike function from another, besides its potential: arguments and constants."""

import weakref
from functools import lru_cache
from types import CellType, FunctionType, MappingProxyType
from typing import Any

import torch
from torch import Tensor

KEPT = 512
"""Classes whose code is remembered."""
LARGE = 1 << 16
"""Elements up to which an argument is known by its values, not by being the same tensor."""
_EMPTY = CellType()
Owner = dict[str, Any] | MappingProxyType[str, Any]


@lru_cache(KEPT)
def referred(cls: type) -> tuple[tuple[Owner, tuple[str, ...]], ...]:
    """Where the names that the function's code refers to are looked up: whatever has them now."""
    owners: list[Owner] = []
    names: dict[str, None] = {}
    for function in _code_of(cls):
        names |= dict.fromkeys(function.__code__.co_names)
        owners.append(function.__globals__)
        held = [function.__globals__.get(name) for name in function.__code__.co_names]
        owners += [vars(thing) for thing in held if hasattr(thing, "__dict__")]
    owners += [vars(base) for base in cls.__mro__ if base.__module__ != "torch.autograd.function"]
    unique = {id(owner): owner for owner in owners}.values()
    return tuple((owner, tuple(names)) for owner in unique)


@lru_cache(KEPT)
def cells_of(cls: type) -> tuple[CellType, ...]:
    """Numbers that the function's code was closed over."""
    cells = [cell for function in _code_of(cls) for cell in function.__closure__ or ()]
    return tuple(cell for cell in cells if cell != _EMPTY and isinstance(cell.cell_contents, float | int))


def _code_of(cls: type) -> list[FunctionType]:
    functions = (getattr(cls, name, None) for name in ("forward", "setup_context", "backward"))
    return [function for function in functions if isinstance(function, FunctionType)]


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
