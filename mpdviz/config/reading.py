"""Settings as people and files give them: checked, those of older files among them, and recipes by name."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mpdviz.config.run import RunConfig
from mpdviz.errors import BadInput, unknown_name
from mpdviz.system.files import exists
from mpdviz.system.reading import read_toml

LONGEST_SHOWN = 80
"""Characters of a refused value that a message shows."""
RECIPES = Path(__file__).parents[1] / "recipes"
"""Where the recipes that come with mpdviz lie."""


def validate(settings: dict[str, Any], where: str = "settings") -> RunConfig:
    """Settings as a RunConfig.

    Raises:
        BadInput: an unknown setting (the closest one is suggested), a value out of range, or settings that do
            not go together.
    """
    settings = _of_today(settings)
    for name in settings:
        if name not in RunConfig.model_fields:
            raise unknown_name(f"setting in {where}:", name, RunConfig.model_fields)
    try:
        return RunConfig(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # no single setting's fault
            problem, _, remedy = str(first["ctx"]["error"]).partition("; ")
            raise BadInput(f"{where}: {problem}", remedy) from None
        setting = ".".join(str(part) for part in first["loc"])
        remedy = f"{first['msg'][0].lower()}{first['msg'][1:]} (`{setting.split('.')[0]}`)"
        raise BadInput(f"{where}: {setting}={_short(first['input'])}", remedy) from None


def _of_today(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as today's files have them: older ones hold options of the network among those of the run."""
    sizes = {name: settings[name] for name in ("encode_channels", "planes") if settings.get(name) is not None}
    rest = {name: value for name, value in settings.items() if name not in ("encode_channels", "planes")}
    if not sizes:
        return rest
    numbers = {
        name: "-".join(map(str, size)) if isinstance(size, list | tuple) else str(size).replace(",", "-")
        for name, size in sizes.items()
    }
    options = [f"{name}={size}" for name, size in numbers.items()]
    return rest | {"model": ":".join([str(rest.get("model", "convsnn")), *options])}


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list of thousands of lists
        return f"a {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def recipes() -> dict[str, str]:
    """Recipes that come with mpdviz, by name, and what each is."""
    return {
        path.stem: path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        for path in sorted(RECIPES.glob("*.toml"))
    }


def read_recipe(path: Path) -> dict[str, Any]:
    """Settings in a TOML file or in a recipe of `recipes`, not yet validated.

    Raises:
        BadInput: the file cannot be read or is not TOML, or there is no recipe of that name.
    """
    if not path.suffix and path.parent == Path() and not exists(path):
        if path.name not in recipes():
            raise unknown_name("recipe", path.name, [*recipes(), "a TOML file"])
        path = RECIPES / f"{path.name}.toml"
    return read_toml(path, "recipe", "write lines like `lr = 0.1`")
