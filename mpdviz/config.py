"""Validated settings of a run: every value is checked before any work starts."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from mpdviz.errors import BadInput, unknown_name
from mpdviz.system.files import exists
from mpdviz.system.reading import read_toml

MOST_TIMESTEPS = 100_000
"""A run of more is a mistake: no network is trained through so many."""
Positive = Annotated[float, Field(gt=0, le=3e38)]
NotNegative = Annotated[float, Field(ge=0, le=3e38)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Timesteps = Annotated[int, Field(ge=1, le=MOST_TIMESTEPS)]

LONGEST_SHOWN = 80
"""Characters of a refused value that a message shows."""

# What a setting is for; without one of these it decides about the result.
MACHINE: dict[str, JsonValue] = {"role": "machine"}
LOG: dict[str, JsonValue] = {"role": "log"}


class RunConfig(BaseModel):
    """One training run; what a checkpoint remembers of how it was made.

    The defaults are the embedded job: an MPD-AGL network on scikit-learn's digits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str = Field("digits", description="data set, or npz:FILE")
    data_dir: Path | None = Field(
        None, description="where downloaded data sets lie", json_schema_extra=MACHINE
    )
    model: str = Field("convsnn", description="network")
    encode_channels: Count | None = Field(
        None, description="channels of the first layer (default: the model's)"
    )
    planes: tuple[Count, ...] | None = Field(None, description="channels of the later stages, e.g. 32,64")
    neuron: str = Field("lif", description="kind of neurons, e.g. lif (constant decay) or plif (learned)")
    decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2, description="share of the potential kept each step"
    )
    v_th: Positive = Field(0.5, description="firing threshold")
    reset: Literal["hard", "soft", "hard-detached", "soft-detached"] = Field(
        "hard", description="what a spike does: hard (to 0) or soft (less v_th); -detached: without gradient"
    )
    gamma: Positive = Field(1.0, description="initial weight of every batch norm, in units of v_th")
    norm: str = Field(
        "tdbn", description="batch norm before the neurons: tdbn, or tebn (a factor a timestep)"
    )
    strategy: str = Field("mpd-agl", description="surrogate width, e.g. mpd-agl or fixed:kappa=2.5")
    surrogate: str = Field("rectangular", description="shape of the surrogate derivative")
    timesteps: Timesteps = Field(4, description="T")
    epochs: Count = Field(30, description="passes over the training set")
    batch_size: Count = Field(64, description="samples per step")
    lr: Positive = Field(0.1, description="initial learning rate; cosine to 0")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="SGD momentum")
    weight_decay: NotNegative = Field(5e-4, description="L2 penalty, on every parameter")
    loss: str = Field(
        "ce", description="what training minimises: ce, or tet:lambda=0.05; evaluation is ce whatever this is"
    )
    regularize: str | None = Field(
        None,
        description="penalty on potentials, added to the loss: mpd-sgr:weight=0.1 or im-loss:weight=0.005",
    )
    augment: bool = Field(True, description="the data set's own augmentation, if it has one")
    auto_augment: bool = Field(False, description="AutoAugment's CIFAR-10 policy, for colour images")
    cutout: Count | None = Field(None, description="side of a hidden square in pixels, for colour images")
    record_every: Count | None = Field(
        None, description="steps between recordings in mpd.csv (default: an epoch's)", json_schema_extra=LOG
    )
    save_every: Count | None = Field(
        None,
        description="steps between saves of last.pt (default: after every epoch alone)",
        json_schema_extra=LOG,
    )
    log: str | None = Field(
        None,
        description="also log to tensorboard (RUN/tensorboard), wandb or mlflow; several with commas between",
        json_schema_extra=LOG,
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="initial weights and data order")
    device: str = Field("auto", description="cpu, cuda, cuda:1, ... or auto", json_schema_extra=MACHINE)
    devices: Count | None = Field(
        None,
        description="processes that share every batch, one a device (default: 1, or torchrun's)",
        json_schema_extra=MACHINE,
    )
    precision: Literal["32", "bf16-mixed", "16-mixed"] = Field(
        "32", description="32, bf16-mixed or (GPU alone) 16-mixed; potentials are always float32"
    )
    accumulate: Count = Field(
        1, description="pieces that a batch is computed in, to save memory; batch norm sees one piece"
    )
    compile: bool = Field(
        False,
        description="compile the network with torch.compile (minutes at the start)",
        json_schema_extra=MACHINE,
    )
    backend: str = Field(
        "auto", description="neuron kernels: eager, compiled or auto", json_schema_extra=MACHINE
    )

    @field_validator("planes", mode="before")
    @classmethod
    def _split_planes(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("precision", mode="before")
    @classmethod
    def _bare_number(cls, value: object) -> object:
        return "32" if value == 32 else value

    def network_options(self) -> dict[str, Any]:
        """Arguments of `networks.build` that this run fixes, sizes of the data set excepted."""
        options: dict[str, Any] = {
            "strategy": self.strategy,
            "timesteps": self.timesteps,
            "neuron": self.neuron,
            "decay": self.decay,
            "v_th": self.v_th,
            "reset": self.reset,
            "gamma": self.gamma,
            "surrogate": self.surrogate,
            "norm": self.norm,
        }
        sizes = {"encode_channels": self.encode_channels, "planes": self.planes}
        return options | {name: size for name, size in sizes.items() if size is not None}

    def to_toml(self) -> str:
        """Settings as TOML; what is None is left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def role(name: str) -> str:
    """What the setting called `name` is for: `result`, `machine` (where and how) or `log` (what is kept)."""
    extra = RunConfig.model_fields[name].json_schema_extra
    return str(extra["role"]) if isinstance(extra, dict) else "result"


def differences(
    one: RunConfig, other: RunConfig, *, roles: Collection[str] = ("result",), but: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """Settings of these roles in which two runs differ, those in `but` left out: name -> both JSON values."""
    first, second = one.model_dump(mode="json"), other.model_dump(mode="json")
    return {
        name: (first[name], second[name])
        for name in first
        if name not in but and role(name) in roles and first[name] != second[name]
    }


def validate(settings: dict[str, Any], where: str = "settings") -> RunConfig:
    """Settings as a RunConfig.

    Raises:
        BadInput: an unknown setting (the closest one is suggested) or a value out of range.
    """
    for name in settings:
        if name not in RunConfig.model_fields:
            raise unknown_name(f"setting in {where}:", name, RunConfig.model_fields)
    try:
        return RunConfig(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(str(part) for part in first["loc"])
        remedy = f"{first['msg'][0].lower()}{first['msg'][1:]} (`{setting.split('.')[0]}`)"
        raise BadInput(f"{where}: {setting}={_short(first['input'])}", remedy) from None


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list of thousands of lists
        return f"a {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


RECIPES = Path(__file__).parent / "recipes"
"""Where the recipes that come with mpdviz lie."""


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
