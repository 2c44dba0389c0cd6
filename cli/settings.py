"""One command-line option for every field of `RunConfig`, so that a setting is written down once."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from mpdviz.config import RunConfig

from .completion import names

COMPLETED: dict[str, str | tuple[str, ...]] = {
    "data": "data",
    "model": "networks",
    "neuron": "neurons",
    "strategy": "strategies",
    "surrogate": "surrogates",
    "norm": "norms",
    "schedule": "schedules",
    "optimizer": ("sgd", "adamw"),
    "loss": "losses",
    "regularize": "regularizers",
    "device": "devices",
    "backend": "kernels",
    "reset": ("hard", "soft", "hard-detached", "soft-detached"),
    "precision": ("32", "bf16-mixed", "16-mixed"),
    "log": "sinks",
}
"""Settings whose values a shell completes."""
SEVERAL = ("log",)
"""Those that take several, with commas between them."""


def takes_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` an option for each setting; it receives those that were given as `settings`.

    Values stay text here: `mpdviz.config.validate` turns them into numbers, with one kind of message for
    options and recipes alike.
    """
    parameters = inspect.signature(command).parameters.values()
    others = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters if p.name != "settings"]

    def wrapper(**given: Any) -> Any:
        settings = {name: given.pop(name) for name in RunConfig.model_fields}
        return command(
            settings={name: value for name, value in settings.items() if value is not None}, **given
        )

    wrapper.__doc__ = command.__doc__
    options = [_option(name) for name in RunConfig.model_fields]
    wrapper.__signature__ = inspect.Signature([*options, *others])  # type: ignore[attr-defined]
    return wrapper


def _option(name: str) -> inspect.Parameter:
    field = RunConfig.model_fields[name]
    default = "" if field.default is None else f" (default: {_text(field.default)})"
    flag = "--" + name.replace("_", "-")
    declaration = f"{flag}/--no-{flag[2:]}" if field.annotation is bool else flag
    kind: Any = bool if field.annotation is bool else str
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            kind | None,
            typer.Option(
                declaration,
                help=f"{field.description}{default}",
                show_default=False,
                metavar=None if kind is bool else _metavar(field.annotation),
                autocompletion=names(COMPLETED[name], several=name in SEVERAL) if name in COMPLETED else None,
                rich_help_panel="Settings (also in a recipe)",
            ),
        ],
    )


def _text(default: object) -> str:
    return {True: "on", False: "off"}[default] if isinstance(default, bool) else str(default)


def _metavar(annotation: object) -> str:
    kinds = {"tuple": "N,N,...", "Path": "PATH", "int": "N", "float": "X"}
    return next((metavar for kind, metavar in kinds.items() if kind in str(annotation)), "NAME")
