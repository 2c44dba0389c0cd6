"""Reading run folders: what is there, what is missing, what is damaged."""

import json

import pytest

from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.reading import StoredRun, is_finished, read_config, read_result


@pytest.fixture
def folder(tmp_path):
    """A run folder of a run that has begun."""
    (tmp_path / "config.toml").write_text(RunConfig(strategy="fixed", seed=3, log="tensorboard").to_toml())
    (tmp_path / "result.json").write_text(json.dumps({"initial_weights": "abc"}))
    return RunFolder(tmp_path)


def test_settings_come_back_as_they_were(folder):
    assert read_config(folder) == RunConfig(strategy="fixed", seed=3, log="tensorboard")


@pytest.mark.parametrize("content", [None, b"lr = ", b"\xff\xfe", b"no_such_setting = 1"])
def test_missing_and_damaged_settings_are_refused(folder, content):
    folder.config.unlink()
    if content is not None:
        folder.config.write_bytes(content)
    with pytest.raises(BadInput, match=r"config\.toml|no_such_setting"):
        read_config(folder)


def test_a_run_is_finished_once_its_result_says_so(folder):
    assert read_result(folder) == {"initial_weights": "abc"}
    assert not is_finished(folder)
    folder.result.write_text(json.dumps({"finished": True, "test_accuracy": 0.5}))
    assert is_finished(folder)
    assert StoredRun.of_folder(folder.path).result["test_accuracy"] == 0.5
    folder.result.unlink()
    assert read_result(folder) == {}
    assert not is_finished(folder)


@pytest.mark.parametrize("content", [b"", b'{"finished": true', b"[true]", b"\xff"])
def test_a_damaged_result_is_refused_and_unfinished(folder, content):
    folder.result.write_bytes(content)
    assert not is_finished(folder)
    with pytest.raises(BadInput, match=r"result\.json.*`resume`"):
        read_result(folder)


def test_a_folder_that_is_not_there_is_unfinished(tmp_path):
    assert not is_finished(RunFolder(tmp_path / "none"))
    with pytest.raises(BadInput, match="is no run folder"):
        StoredRun.of_folder(tmp_path / "none")
