"""Settings: what is accepted, what is refused and how, and that files give back what was put in."""

import re
import sys
import tomllib
import warnings
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest
from pydantic import ValidationError

from mpdviz import networks
from mpdviz.config import RunConfig, differences, read_recipe, recipes, role, validate
from mpdviz.errors import BadInput

positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
counts = st.integers(1, 2**40)
# TOML has no surrogates; text is otherwise anything.
words = st.text(st.characters(codec="utf-8"), max_size=20)
MODEL = "convsnn:encode_channels=4:planes=4-6"
FIELDS = {
    "data": words,
    "model": words.filter(lambda name: ":" not in name),
    "neuron": words,
    "decay": st.floats(0, 1),
    "v_th": positive,
    "strategy": words,
    "surrogate": words,
    "timesteps": counts,
    "epochs": counts,
    "batch_size": counts,
    "lr": positive,
    "momentum": st.floats(0, 1, exclude_max=True),
    "weight_decay": st.floats(min_value=0, allow_infinity=False),
    "augment": st.booleans(),
    "seed": st.integers(0, 2**63 - 1),
    "device": words,
}


@hypothesis.given(st.fixed_dictionaries({}, optional=FIELDS))
def test_toml_gives_back_every_setting(given):
    """Names (data, model, ...) are looked up by who knows them, so any text goes round here."""
    try:
        config = validate(given)
    except BadInput:
        hypothesis.reject()
    assert validate(tomllib.loads(config.to_toml())) == config
    for name, value in given.items():
        assert getattr(config, name) == value


def test_a_recipe_file_gives_back_every_setting(tmp_path):
    config = validate(
        {"model": "convsnn:planes=4-8", "lr": "0.07", "data_dir": str(tmp_path), "augment": False}
    )
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("# a comment\n" + config.to_toml(), encoding="utf-8")
    again = validate(read_recipe(recipe))
    assert again == config
    assert (again.lr, again.data_dir, again.augment) == (0.07, tmp_path, False)
    assert validate({}) == RunConfig()


def test_every_setting_is_an_option_of_train(capsys, monkeypatch):
    from mpdviz.cli.entry import run

    monkeypatch.setattr(sys, "argv", ["mpdviz", "train", "--help"])
    monkeypatch.setenv("COLUMNS", "160")
    with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
        run()
    shown = capsys.readouterr().out.split()
    assert ended.value.code == 0
    for name, field in RunConfig.model_fields.items():
        assert "--" + name.replace("_", "-") in shown
        assert field.description, name
        assert field.description.split()[0] in shown
    assert {"--recipe", "--out", "--resume"} <= set(shown)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("clip", [0, -1, "nan", "x", ""]),
        ("ema", [1, -0.1, "nan"]),
        ("label_smoothing", [1, -0.1, "nan", None]),
        ("mixup", [0, -1, "inf"]),
        ("optimizer", ["adam", "", None, 3]),
        ("patience", [0, -1, 2.5]),
        ("repeat_input", [0, -1, 2.5]),
        ("warmup", [-1, "nan", None]),
        ("decay", [-0.01, 1.01, "nan", float("nan"), "inf"]),
        ("v_th", [0, -0.5, "nan", "inf", "half"]),
        ("timesteps", [0, -1, "0", "1.5", "two", None]),
        ("epochs", [0, -3]),
        ("batch_size", [0, -64, "64.5"]),
        ("lr", [0, -0.1, "nan", "inf", "-inf", "1e400", "0,1"]),
        ("momentum", [-0.1, 1, "nan"]),
        ("weight_decay", [-1e-9, "nan", "inf"]),
        ("augment", ["maybe", 2]),
        ("seed", [-1, 2**63, 0.5, "nan"]),
        ("data", [1, None, ["digits"]]),
        ("model", [{"name": "convsnn"}]),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, values):
    for value in values:
        with pytest.raises(BadInput) as caught:
            validate({name: value}, "recipe.toml")
        message = str(caught.value)
        assert message.startswith(f"recipe.toml: {name}")
        assert message.endswith(f"(`{name}`)")
        assert repr(value) in message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("decay", 0),
        ("decay", 1),
        ("momentum", 0),
        ("weight_decay", 0),
        ("seed", 0),
        ("seed", 2**63 - 1),
        ("timesteps", 1),
        ("lr", 5e-324),
    ],
)
def test_the_ends_of_each_range_are_accepted(name, value):
    assert getattr(validate({name: value}), name) == value
    assert getattr(validate({name: str(value)}), name) == value


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("batchsize", "batch_size"),
        ("epoch", "epochs"),
        ("Strategy", "strategy"),
        ("weight-decay", "weight_decay"),
    ],
)
def test_an_unknown_setting_suggests_the_closest(wrong, right):
    with pytest.raises(BadInput, match=f"recipe.toml: '{wrong}'; did you mean '{right}'"):
        validate({"lr": 0.1, wrong: 3}, "recipe.toml")


def test_a_recipe_may_write_the_precision_as_a_number():
    assert validate({"precision": 32}).precision == "32"


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().lr = 1.0


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"lr = ", "is not TOML"),
        (b"lr 0.1", "is not TOML"),
        (b"lr = 0.1\nlr = 0.2", "is not TOML"),
        (b"lr = '\xff'", "is not TOML"),
        (b"\x80\x02}q\x00.", "is not TOML"),
        (None, "No such file"),
    ],
)
def test_a_recipe_that_cannot_be_read(tmp_path, content, problem):
    recipe = tmp_path / "recipe.toml"
    if content is not None:
        recipe.write_bytes(content)
    with pytest.raises(BadInput, match=problem) as caught:
        read_recipe(recipe)
    assert str(recipe) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_is_a_folder(tmp_path):
    with pytest.raises(BadInput, match="is a folder"):
        read_recipe(tmp_path)


def test_network_options_are_what_build_takes():
    config = validate({"model": MODEL, "timesteps": 3, "neuron": "plif", "decay": 0.3})
    network = networks.build(config.model, num_classes=3, **config.network_options())
    layers = dict(network.spiking_layers())
    assert network.timesteps == 3
    assert [layer.neuron.decay.item() for layer in layers.values()] == [pytest.approx(0.3)] * 5
    assert [len(layer.norm.weight) for layer in layers.values()] == [4, 4, 6, 6, 128]


def test_files_of_older_versions_name_the_network_s_sizes_among_the_settings(tmp_path):
    recipe = tmp_path / "config.toml"
    recipe.write_text('model = "convsnn"\nplanes = [4, 6]\nencode_channels = 4\n', encoding="utf-8")
    assert validate(read_recipe(recipe)).model == MODEL
    assert validate({"planes": "4,6", "encode_channels": 4}).model == MODEL
    assert validate({"model": "convsnn:planes=4-6:encode_channels=4"}).model == MODEL
    assert validate({"model": "resnet19", "planes": None, "encode_channels": None}).model == "resnet19"


def test_settings_that_do_not_go_together():
    for settings, problem in (
        ({"model": "nets:build", "decay": 0.3}, "`decay` with the model nets:build of your own"),
        ({"model": "nets:build:width=3", "strategy": "fixed"}, "`strategy` with the model"),
        ({"time_axis": 0}, "`time_axis` with the model convsnn of ours"),
        ({"model": "convsnn:planes=4-4", "repeat_input": 2}, "`repeat_input` with"),
    ):
        with pytest.raises(BadInput, match=re.escape(problem)):
            validate(settings)
    assert validate({"model": "nets:build"}).strategy == "own"
    assert validate({"model": "nets:build", "strategy": "own", "time_axis": -1}).own_model


def test_the_learning_rate_is_the_optimizer_s_where_none_is_given():
    assert [validate({"optimizer": name}).lr for name in ("sgd", "adamw")] == [0.1, 0.001]
    assert validate({"optimizer": "adamw", "lr": 0.02}).lr == 0.02


@pytest.mark.parametrize("name", sorted(set(recipes()) - {"fashion-mnist"}))
def test_recipes_are_the_paper_s(name):
    config = validate(read_recipe(Path(name)))
    # METHOD section A
    dvs = name == "cifar10-dvs"
    expected = {"model": "vggsnn" if dvs else "resnet19", "timesteps": 10 if dvs else 2, "epochs": 150}
    expected |= {"strategy": "mpd-agl", "batch_size": 100, "lr": 0.1, "momentum": 0.9, "data": name}
    expected |= {"weight_decay": 5e-4 if dvs else 1e-4, "auto_augment": not dvs}
    expected |= {"decay": 0.2, "v_th": 0.5, "augment": True}
    assert {key: getattr(config, key) for key in expected} == expected


def test_an_unknown_recipe_names_those_there_are():
    with pytest.raises(BadInput, match=r"unknown recipe 'cifar'; .*cifar10, cifar10-dvs, cifar100"):
        read_recipe(Path("cifar"))


def test_every_setting_has_a_role_and_runs_differ_in_those_asked_for():
    kept = {"record_every", "record_samples", "save_every", "log"}
    roles = {name: role(name) for name in RunConfig.model_fields}
    assert set(roles.values()) == {"result", "machine", "log"}
    assert {name for name in roles if roles[name] == "log"} == kept
    one = RunConfig(data_dir=Path("a"), device="cpu")
    other = RunConfig(lr=0.2, seed=3, save_every=2, device="cuda", data_dir=Path("a"))
    assert differences(one, other) == {"lr": (0.1, 0.2), "seed": (0, 3)}
    assert differences(one, other, but=("seed",)) == {"lr": (0.1, 0.2)}
    assert differences(one, other, roles=("machine", "log")) == {
        "device": ("cpu", "cuda"),
        "save_every": (None, 2),
    }
    assert not differences(one, one, roles=set(roles.values()))
