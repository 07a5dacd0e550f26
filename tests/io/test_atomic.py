import pytest

from mlit.errors import InputError
from mlit.io.atomic import atomic_write


def test_file_appears_complete_and_folders_are_made(tmp_path):
    target = tmp_path / "new" / "folder" / "result.txt"
    with atomic_write(target) as partial:
        partial.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["result.txt"]


def test_old_file_stays_when_writing_fails(tmp_path):
    target = tmp_path / "result.txt"
    target.write_text("old")

    def write_half():
        with atomic_write(target) as partial:
            partial.write_text("ha")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.txt"]


def test_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(InputError, match=r"file.*result\.txt: cannot be written"),
        atomic_write(tmp_path / "file" / "result.txt") as partial,
    ):
        partial.write_text("x")
