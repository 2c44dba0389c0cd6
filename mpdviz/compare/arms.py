"""Arms of a study: what its runs are trained with beside the settings that they share.

An arm is a name and settings. They are written as strategies, crossed from lists of values, or named in a
TOML file:

    [settings]          # of every run; optional
    epochs = 10

    [[arms]]
    name = "control"

    [[arms]]
    name = "wide"
    strategy = "fixed:kappa=2.5"
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from mpdviz.config import RunConfig, check_code, role, validate
from mpdviz.errors import BadInput, unknown_name
from mpdviz.runs.folder import slug
from mpdviz.runs.studies import Arm, said
from mpdviz.system.reading import read_toml

SHARED = ("data", "train_limit", "seed", "batch_size")
"""Settings of role `result` that no arm has to itself: without them runs of a seed would not be pairs."""
MOST = 1000
"""Arms, or points of a grid, of one study; more are a mistake."""


def of_strategies(names: Sequence[str]) -> list[Arm]:
    """An arm for each strategy, called like it.

    Raises:
        BadInput: none, or one twice.
    """
    if not names or len(set(names)) < len(names):
        raise BadInput(f"`strategies` {','.join(names)!r} names one twice or none", "name each once")
    return [Arm(name, {"strategy": name}) for name in names]


def crossed(vary: Mapping[str, Sequence[Any]]) -> list[Arm]:
    """Every combination of the values, the last setting's changing fastest.

    An arm is called by its values, the strategy first: `mpd-agl, decay=0.9`.

    Args:
        vary: values by setting.

    Raises:
        BadInput: an unknown setting, one that arms must share, a value out of range, or one given twice.
    """
    checked = {name: _values(name, values) for name, values in vary.items()}
    total = 1
    for values in checked.values():
        total *= len(values)
    if total > MOST:
        raise BadInput(f"`vary` makes {total} arms", f"give at most {MOST}")
    names = sorted(checked, key=lambda name: name != "strategy")
    arms = []
    for combination in product(*checked.values()):
        settings = dict(zip(checked, combination, strict=True))
        words = [
            str(settings[name]) if name == "strategy" else f"{name}={said(settings[name])}" for name in names
        ]
        arms.append(Arm(", ".join(words), settings))
    return arms


def read(path: Path, named: Sequence[str] = ()) -> tuple[list[Arm], dict[str, Any]]:
    """The arms of a TOML file, and the settings that it gives every run.

    Args:
        path: of the file.
        named: networks of the user's own that arms may be of (see `config.check_code`).

    Raises:
        BadInput: the file cannot be read, holds anything else, or names code that the user has not.
    """
    remedy = "write [[arms]] with a name and settings, and [settings] for all"
    content = read_toml(path, "arms", remedy)
    for name in content:
        if name not in ("arms", "settings"):
            raise unknown_name(f"table in arms {path}:", name, ["arms", "settings"])
    listed, settings = content.get("arms"), content.get("settings", {})
    if not (isinstance(listed, list) and listed and isinstance(settings, dict)):
        raise BadInput(f"arms {path}: no arms in it", remedy)
    arms = []
    for number, one in enumerate(listed, 1):
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not one["name"].strip():
            raise BadInput(f"arms {path}: arm {number} has no name", 'give it one, like name = "control"')
        check_code(one, named, f"arms {path}")
        arms.append(Arm(one["name"].strip(), {name: one[name] for name in one if name != "name"}))
    check_code(settings, named, f"arms {path}")
    return arms, settings


def check(arms: Sequence[Arm], shared: Mapping[str, Any]) -> list[Arm]:
    """The arms with their settings as JSON values of the right kinds.

    Args:
        arms: as given.
        shared: the study's settings, which an arm's go before.

    Raises:
        BadInput: no arms, two of one name, or an arm whose settings make no run.
    """
    if not arms:
        raise BadInput("no arms", "give strategies, settings to vary, or a file of arms")
    if len(arms) > MOST:
        raise BadInput(f"{len(arms)} arms", f"give at most {MOST}")
    seen: dict[str, str] = {}
    checked = []
    for arm in arms:
        folder = slug(arm.name).casefold()  # some file systems do not tell Arm from arm
        if folder in seen:
            raise BadInput(
                f"arms {seen[folder]!r} and {arm.name!r} have one name, or one folder", "name each apart"
            )
        seen[folder] = arm.name
        for name in arm.settings:
            check_setting(name, f"arm {arm.name!r}")
        whole = validate({**shared, **arm.settings}, f"arm {arm.name!r}").model_dump(mode="json")
        checked.append(Arm(arm.name, {name: whole[name] for name in arm.settings}))
    return checked


def check_setting(name: str, where: str) -> None:
    """Refuse a setting that cannot differ between the arms of a study.

    Raises:
        BadInput: an unknown setting (the closest one is suggested), or one that all arms must share.
    """
    if name not in RunConfig.model_fields:
        raise unknown_name(f"setting in {where}:", name, RunConfig.model_fields)
    if name in SHARED:
        raise BadInput(
            f"{where}: `{name}` is the same for all arms, or their runs would not be pairs",
            "give it for the whole study" if name != "seed" else "give `seeds`",
        )
    if role(name) != "result":
        raise BadInput(f"{where}: `{name}` makes no difference to a result", "give it for the whole study")


def check_grid(grid: Mapping[str, Sequence[Any]], arms: Sequence[Arm]) -> dict[str, list[Any]]:
    """The values of a grid as JSON values.

    Raises:
        BadInput: as of `crossed`, or a setting that is an arm's own.
    """
    for name in grid:
        own = [arm.name for arm in arms if name in arm.settings]
        if own or name == "strategy":
            raise BadInput(
                f"`{name}` in a grid, and in {f'arm {own[0]!r}' if own else 'arms'}",
                "vary it or search it: a grid is what each arm chooses from",
            )
    return {name: _values(name, values) for name, values in grid.items()}


def _values(name: str, given: Sequence[Any]) -> list[Any]:
    """The values of a setting, checked, as JSON values."""
    check_setting(name, "what is varied")
    values = [validate({name: value}, "what is varied").model_dump(mode="json")[name] for value in given]
    if not values or len({str(value) for value in values}) < len(values):
        raise BadInput(f"`{name}` is varied over one value twice, or over none", "name each once")
    return values
