"""What a spike function's code goes by besides its arguments: globals, attributes, cells."""

import dis
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CellType, CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any

import torch

Owner = dict[str, Any] | MappingProxyType[str, Any]
Plain = float | int | str | torch.dtype | None
PURE = ("torch", "math", "numpy")
"""Packages whose functions go by their arguments alone."""
_TORCHS = ("torch.autograd.function", "torch._C", "builtins")
_EMPTY = CellType()


@dataclass
class Code:
    """The code of one function, with that of the functions it calls."""

    functions: list[FunctionType] = field(default_factory=list)
    bound: list[tuple[Owner, str, Any]] = field(default_factory=list)
    """Names that it refers to whose values are no numbers, and what they were."""
    closed: bool = True
    """Whether it goes by nothing but its arguments and `constants`."""
    owners: list[tuple[Owner, tuple[str, ...]]] = field(default_factory=list)
    """Where the names that it refers to are looked up: whatever has them now."""

    @classmethod
    def of(cls, function: type) -> "Code":
        """That of a `torch.autograd.Function`."""
        code = cls()
        bases = [base for base in function.__mro__ if base.__module__ not in _TORCHS]
        for base in bases:
            for name, value in vars(base).items():
                value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
                if isinstance(value, FunctionType):
                    code._add(value)
                elif not (name.startswith("__") or name == "_backward_cls" or isinstance(value, Plain)):
                    code.closed = False
        names: dict[str, None] = {}
        owners: list[Owner] = [function.__globals__ for function in code.functions]
        for inner in (part for function in code.functions for part in _parts(function.__code__)):
            names |= dict.fromkeys(inner.co_names)
        owners += [vars(value) for _, _, value in code.bound if hasattr(value, "__dict__")]
        owners += [vars(base) for base in bases]
        unique = {id(owner): owner for owner in owners}.values()
        code.owners = [(owner, tuple(names)) for owner in unique]
        return code

    def _add(self, function: FunctionType) -> None:
        if function in self.functions:
            return
        self.functions.append(function)
        for name in dict.fromkeys(_globals_in(function.__code__)):
            if name not in function.__globals__:
                continue  # a builtin
            value = function.__globals__[name]
            if not isinstance(value, float | int):
                self.bound.append((function.__globals__, name, value))
                self._goes_by(value)
        for cell in function.__closure__ or ():
            self._goes_by(None if cell == _EMPTY else cell.cell_contents)
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._goes_by(value)
        if any(
            i.opname == "IMPORT_NAME"
            for part in _parts(function.__code__)
            for i in dis.get_instructions(part)
        ):
            self.closed = False

    def _goes_by(self, value: Any) -> None:
        if isinstance(value, FunctionType) and not _is_pure(value.__module__):
            self._add(value)
            return
        if isinstance(value, ModuleType):
            pure = _is_pure(value.__name__)
        else:  # a module of torch's may hold anything
            pure = callable(value) and not isinstance(value, torch.nn.Module) and _is_pure(value.__module__)
        self.closed &= pure or isinstance(value, Plain)

    def holds(self) -> bool:
        """Whether the names still have these values."""
        return all(owner.get(name) is value for owner, name, value in self.bound)

    def numbers(self) -> tuple[tuple[Owner, str], ...]:
        """Where numbers that it may go by are, now."""
        return tuple(
            (owner, name)
            for owner, names in self.owners
            for name in names
            if isinstance(owner.get(name), float | int)
        )

    def cells(self) -> tuple[CellType, ...]:
        """Numbers that it was closed over."""
        cells = [cell for function in self.functions for cell in function.__closure__ or ()]
        return tuple(cell for cell in cells if cell != _EMPTY and isinstance(cell.cell_contents, float | int))


def _is_pure(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in PURE


def _parts(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the functions defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)


def _globals_in(code: CodeType) -> Iterator[str]:
    for part in _parts(code):
        for instruction in dis.get_instructions(part):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL"):
                yield instruction.argval
