"""Which folders are written into."""

import pytest

from mpdviz.errors import BadInput
from mpdviz.system import outputs


def test_new_empty_and_own_folders_are_claimed(tmp_path):
    for name in ("new", "new/below", "empty"):
        if name == "empty":
            (tmp_path / name).mkdir()
        for _ in range(2):
            outputs.claim(tmp_path / name, "inspect")
        (tmp_path / name / "table.csv").write_text("of ours")
        outputs.check(tmp_path / name, "inspect")
        assert outputs.is_ours(tmp_path / name, "inspect")


def test_folders_of_others_are_not(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").touch()
    outputs.claim(tmp_path / "figures", "figures")
    (tmp_path / "file").touch()
    for name in ("full", "figures", "file", "file/below", "a" * 300):
        with pytest.raises(BadInput, match="; choose"):
            outputs.claim(tmp_path / name, "inspect")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes"]
