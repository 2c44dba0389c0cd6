"""Networks of the user's own among settings: which they are, and that no file has their code run."""

from collections.abc import Collection, Mapping
from typing import Any

from mpdviz.errors import BadInput


def is_own(model: str) -> bool:
    """Whether a `model` is the user's own, `module:function` or `module:function:name=value`.

    Options of ours have a = right behind the first colon.
    """
    _, colon, rest = model.partition(":")
    return bool(colon) and "=" not in rest.partition(":")[0]


def check_code(settings: Mapping[str, Any], named: Collection[str], where: str) -> None:
    """Refuse a function of the user's that a file names and the user has not: no file runs code.

    Args:
        settings: of the file.
        named: models that the user named, `module:function` with arguments or without.
        where: what the file is.

    Raises:
        BadInput: there is one.
    """
    model = settings.get("model")
    if not isinstance(model, str) or not is_own(model):
        return
    if _function(model) not in map(_function, named):
        raise BadInput(
            f"{where} names code, {model}, which no file can have run", f"name it: `model` {model}"
        )


def _function(model: str) -> str:
    return ":".join(model.split(":")[:2])
