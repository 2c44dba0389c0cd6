"""Functions of the user's own: found by name, their module imported as if it were run on its own."""

import importlib
import io
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import nn

from mpdviz.errors import BadInput

SEED = 0
"""Of fresh weights."""
FRAMEWORKS = ("spikingjelly", "snntorch", "norse")
"""Whose neurons can be read; each is an extra of the same name."""


def build(spec: str, arguments: Sequence[str] = (), *, seed: int = SEED) -> nn.Module:
    """Call the user's function that builds a network; this runs their code, with torch's seed set to `seed`.

    Args:
        spec: `package.module:function`, found from the current folder or where Python looks; arguments of the
            function may follow, `package.module:function:width=64:name=wide`.
        arguments: keyword arguments of the function, `name=value` with values as in TOML, else text.
        seed: of fresh weights.

    Raises:
        BadInput: no such function, or it fails, or returns no module.
    """
    made: Any = None
    place, *words = spec.split(":")
    if words:
        spec, arguments = f"{place}:{words[0]}", [*words[1:], *arguments]
    with _running("model", spec) as find:
        function = find()
        # The same fresh weights at every call, and in every process that shares the work.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = function(**dict(_argument(text) for text in arguments))
    if not isinstance(made, nn.Module):
        raise BadInput(
            f"`model` {spec} returns an object of type {type(made).__name__}",
            "let it return a torch.nn.Module",
        )
    return made


def function(setting: str, given: str | Callable[..., Any] | None) -> Callable[..., Any] | None:
    """The function that a setting names, or is; its errors become one line.

    Args:
        setting: name of the setting.
        given: `package.module:function`, a function, or None.

    Raises:
        BadInput: no such function; at a call, whatever it raises.
    """
    if given is None:
        return None
    if isinstance(given, str):
        with _running(setting, given) as find:
            found = find()
    else:
        found = given
    name = given if isinstance(given, str) else getattr(given, "__qualname__", type(given).__name__)
    if not callable(found):
        raise BadInput(f"`{setting}` {name} is no function", "name a function")

    def called(*arguments: Any) -> Any:
        try:
            return found(*arguments)
        except Exception as error:  # whatever their code raises
            raise BadInput(f"`{setting}` {name}: {said(error)}", "see to it in that function") from None

    return called


def said(error: BaseException) -> str:
    """An error of the user's code in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextmanager
def _running(setting: str, spec: str) -> Iterator[Callable[[], Any]]:
    """Find and run a function of the user's; what goes wrong with it is one line.

    Their module sees a command line of its own, without arguments: many read it when they are imported. What
    they print goes to stderr: stdout is for tables.
    """
    place, _, name = spec.partition(":")
    if not place or not name:
        raise BadInput(f"`{setting}` {spec}", "give package.module:function, e.g. nets:build_model")

    def find() -> Any:
        return getattr(importlib.import_module(place), name)

    arguments, sys.argv = sys.argv, [place]
    path = str(Path.cwd())
    sys.path.insert(0, path)
    errors = _Held(sys.stderr)
    try:
        with redirect_stdout(sys.stderr), redirect_stderr(errors):
            yield find
    except BadInput:
        raise
    except SystemExit as error:
        # argparse has printed its usage, and last the reason.
        reason = errors.taken().strip().splitlines()[-1:] or [f"exit code {error.code}"]
        remedy = "let it be imported without a command line, e.g. behind if __name__ == '__main__'"
        raise BadInput(f"`{setting}` {spec} ends the program: {reason[0]}", remedy) from None
    except Exception as error:  # whatever their code raises
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        extra = f"pip install 'mpdviz[{missing}]'" if missing in FRAMEWORKS else "see to it in that module"
        raise BadInput(f"`{setting}` {spec}: {said(error)}", extra) from None
    finally:
        sys.argv = arguments
        if path in sys.path:  # theirs may have changed it too
            sys.path.remove(path)
        errors.let_go()


class _Held(io.TextIOBase):
    """A stream whose text waits until it is known whether it belongs to an error; then it goes through.

    What their module keeps of it, as log handlers do, works on.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._waiting = stream, list[str]()
        self._holds = True

    def write(self, text: str) -> int:
        """Keep `text`, or pass it on."""
        if not self._holds:
            return self._stream.write(text)
        self._waiting.append(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what does not wait."""
        self._stream.flush()

    def taken(self) -> str:
        """What waits, which then is not written any more."""
        text, self._waiting = "".join(self._waiting), []
        return text

    def let_go(self) -> None:
        """Write what waits, and everything after it."""
        self._holds = False
        self._stream.write(self.taken())


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise BadInput(f"`model_args` {text}", "give name=value")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value
