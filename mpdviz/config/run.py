"""The settings of a run: each with its range, its description and what it is for."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from mpdviz.config.own import is_own

MOST_TIMESTEPS = 100_000
"""A run of more is a mistake: no network is trained through so many."""
Positive = Annotated[float, Field(gt=0, le=3e38)]
NotNegative = Annotated[float, Field(ge=0, le=3e38)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Timesteps = Annotated[int, Field(ge=1, le=MOST_TIMESTEPS)]

OWN = "own"
"""Strategy of a network of the user's own, whose surrogates stand in its code."""
OF_OURS = ("strategy", "neuron", "decay", "reset", "gamma", "norm", "surrogate", "regularize", "compile")
"""Settings that make our networks and say nothing to others."""
OF_OWN = ("time_axis", "repeat_input")
"""Settings that say how a network of the user's own takes its input."""
LR = {"sgd": 0.1, "adamw": 0.001}
"""Learning rate of an optimizer where none is given."""

# What a setting is for; without one of these it decides about the result.
MACHINE: dict[str, JsonValue] = {"role": "machine"}
LOG: dict[str, JsonValue] = {"role": "log"}


class RunConfig(BaseModel):
    """One training run; what a checkpoint remembers of how it was made.

    The defaults are the embedded job: an MPD-AGL network on scikit-learn's digits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str = Field("digits", description="data set (see `mpdviz list data`), folder:DIR, npz:FILE, ...")
    data_dir: Path | None = Field(
        None, description="where downloaded data sets lie", json_schema_extra=MACHINE
    )
    train_limit: Count | None = Field(
        None, description="only N of the training samples, of every class alike; validation, test stay whole"
    )
    model: str = Field(
        "convsnn",
        description="network and its options, e.g. convsnn:planes=16-32, or your own, MODULE:FUNCTION",
    )
    time_axis: int | None = Field(
        None, description="of your own network: axis on which it takes whole sequences (default: it is tried)"
    )
    repeat_input: Timesteps | None = Field(
        None,
        description="of your own network: times that it is shown a static sample (default: it repeats it)",
    )
    init: Path | None = Field(
        None, description="checkpoint or run whose weights training starts from, as far as they fit"
    )
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
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="sgd or adamw")
    lr: Positive = Field(0.1, description="highest learning rate; with adamw 0.001 unless it is given")
    schedule: str = Field(
        "cosine", description="of the learning rate: cosine, step:every=30:factor=0.1 or constant"
    )
    warmup: NotNegative = Field(0.0, description="epochs in which the learning rate rises from 0, by steps")
    momentum: Share = Field(0.9, description="of sgd")
    weight_decay: NotNegative = Field(5e-4, description="of every parameter: L2 (sgd) or decoupled (adamw)")
    clip: Positive | None = Field(None, description="longest gradient, longer ones are scaled down to it")
    label_smoothing: Share = Field(0.0, description="share of a label that goes to all classes alike")
    mixup: Positive | None = Field(
        None, description="mix samples in pairs by shares from Beta(X, X), e.g. 0.2"
    )
    ema: Share | None = Field(
        None, description="also average the weights, keeping this share a step; best.pt has the averaged"
    )
    patience: Count | None = Field(None, description="stop after so many epochs that are no better")
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
    record_samples: Count = Field(
        16, description="validation samples that are recorded, the first ones", json_schema_extra=LOG
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
        "auto", description="neuron kernels: eager, fused, compiled or auto", json_schema_extra=MACHINE
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        """What is taken where nothing is given, and depends on what else is."""
        if not isinstance(given, dict):
            return given
        lr = {"lr": LR.get(str(given.get("optimizer", "sgd")), LR["sgd"])}
        own = {"strategy": OWN} if is_own(str(given.get("model", ""))) else {}
        return lr | own | given

    @field_validator("model")
    @classmethod
    def _in_order(cls, value: str) -> str:
        """Options by name, so that two ways to write one network are one."""
        if is_own(value):
            return value
        name, *options = value.split(":")
        return ":".join([name, *sorted(options)])

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        fields = RunConfig.model_fields
        where = "of your own, whose code says it; leave it out"
        others = {name: fields[name].default for name in OF_OWN}
        if self.own_model:
            others = {name: fields[name].default for name in OF_OURS} | {"strategy": OWN}
        else:
            where = "of ours, which knows it; leave it out"
        for name, default in others.items():
            if getattr(self, name) != default:
                raise ValueError(f"`{name}` with the model {self.model} {where}")
        return self

    @field_validator("precision", mode="before")
    @classmethod
    def _bare_number(cls, value: object) -> object:
        return "32" if value == 32 else value

    @property
    def own_model(self) -> bool:
        """Whether the network is the user's own."""
        return is_own(self.model)

    def network_options(self) -> dict[str, Any]:
        """Arguments of `networks.build` that this run fixes, sizes of the data set excepted."""
        return {
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
