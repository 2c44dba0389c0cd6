"""Groups of command-line options, each written down once as a dataclass and shared by commands."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_type_hints


def takes(group: type, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command an option for each field of the dataclass `group`; it gets the object as `name`.

    Fields are annotated as Typer wants them: `Annotated[type, typer.Option(...)]`.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(group, include_extras=True)
        options = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=hints[field.name],
            )
            for field in fields(group)
        ]
        parameters = inspect.signature(command).parameters.values()
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters if p.name != name]

        def wrapper(**given: Any) -> Any:
            chosen = group(**{field.name: given.pop(field.name) for field in fields(group)})
            return command(**{name: chosen}, **given)

        wrapper.__doc__ = command.__doc__
        wrapper.__signature__ = inspect.Signature([*options, *own])  # type: ignore[attr-defined]
        return wrapper

    return decorate
