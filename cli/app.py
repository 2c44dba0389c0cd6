"""The `mpdviz` command itself; `main` gives it its subcommands."""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

METAVARS = {"int": "N", "float": "X", "path": "PATH"}
"""What stands for an option's value in the help where the option does not say, by its type; else NAME."""


def _spoken(parameters: list[Any]) -> list[Any]:
    """The parameters, with a name for each value in the help, and none for a flag."""
    for parameter in parameters:
        if parameter.param_type_name == "option" and parameter.metavar is None:
            flag = getattr(parameter, "is_flag", False)
            # Releases of Typer differ in where they keep the type; both say it in words.
            kind = str(getattr(parameter, "type_descriptor", None) or getattr(parameter, "type", "")).lower()
            value = next((metavar for name, metavar in METAVARS.items() if name in kind), "NAME")
            parameter.metavar = "" if flag else value
        elif parameter.param_type_name == "argument" and hasattr(parameter, "display_type_rich"):
            parameter.display_type_rich = lambda ctx: None  # its name says what it is
    return parameters


class Command(TyperCommand):
    """A subcommand."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, --help among them."""
        return _spoken(super().get_params(ctx))


class Group(TyperGroup):
    """The command with its subcommands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, --help among them."""
        return _spoken(super().get_params(ctx))


app = typer.Typer(
    name="mpdviz",
    cls=Group,
    help="Do my spiking neurons still get a gradient, and if not, where, when and why?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def versions() -> str:
    """What runs here; torch is asked for its version without being imported."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "not installed"
    python = ".".join(map(str, sys.version_info[:3]))
    return f"mpdviz {version('mpdviz')} (torch {torch}, Python {python})"


def _show_version(wanted: bool) -> None:
    if wanted:
        print(versions())
        raise typer.Exit


@app.callback()
def mpdviz(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Options of the command itself."""
