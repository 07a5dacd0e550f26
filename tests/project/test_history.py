"""Commits and reverts of a folder of results."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mlit.errors import InputError
from mlit.project.history import History, complete_interrupted, open_history, record_run
from mlit.project.history_lock import LOCK
from mlit.project.history_store import STORE, ObjectStore


def state(folder: Path) -> dict[str, bytes]:
    """All files of a folder but those of its history."""
    paths = [path for path in folder.rglob("*") if path.is_file() and STORE not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def folder(tmp_path):
    """Write what a run leaves, in small."""
    root = tmp_path / "run"
    for name, content in {
        "warp_tiltseries/A.xml": b"<TiltSeries/>\n",
        "x/map.mrc": bytes(3000),
        "x/half1.mrc": bytes(3000),
        "summary.json": json.dumps(
            {"species": {"x": {"resolution_angstrom": 4.321}}, "input_sha256": {"in.star": "0" * 64}}
        ).encode(),
        "checkpoints/last.json": b"{}",
        "tensorboard/x.csv": b"1",
        "mlit.log": b"log",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def commit(folder, message="state"):
    with open_history(folder, make=True) as history:
        return history.commit(message)


def revert(folder, wanted):
    with open_history(folder) as history:
        return history.revert(wanted)


def test_the_same_content_is_stored_once_and_only_results_are_tracked(folder):
    first = commit(folder)
    assert set(first.files) == {"warp_tiltseries/A.xml", "x/map.mrc", "x/half1.mrc", "summary.json"}
    assert len(list((folder / STORE / "objects").glob("*/*"))) == 3  # both maps are alike
    (folder / "x" / "new.csv").write_text("1\n")
    second = commit(folder)
    assert len(list((folder / STORE / "objects").glob("*/*"))) == 4
    assert second.parent == first.identity
    assert commit(folder) == second  # nothing has changed
    with open_history(folder) as history:
        assert history.commits() == [first, second]
        assert history.size_bytes() == 3000 + 14 + 2 + (folder / "summary.json").stat().st_size


def test_a_finished_run_is_recorded_with_its_input(folder):
    record_run(folder)
    with open_history(folder) as history:
        assert history.head is not None
        assert history.head.message == "results: x 4.32 Å"
        assert history.head.input_sha256 == {"in.star": "0" * 64}


def test_revert_is_byte_equal_and_loses_nothing(folder):
    before, first = state(folder), commit(folder)
    (folder / "x" / "map.mrc").write_bytes(b"other")
    (folder / "x" / "new.csv").write_text("1\n")
    (folder / "warp_tiltseries" / "A.xml").unlink()
    uncommitted = state(folder)
    revert(folder, first.short)
    assert state(folder) == before
    with open_history(folder) as history:
        kept = history.commits()[-1]
        assert history.head == first
        assert not history.changed_files()
    assert kept.message == f"before the revert to {first.short}"
    revert(folder, kept.identity)
    assert state(folder) == uncommitted


def test_tampered_and_missing_contents_are_named_and_change_nothing(folder):
    first = commit(folder)
    (folder / "x" / "map.mrc").write_bytes(b"other")
    (folder / "x" / "half1.mrc").write_bytes(b"another")
    commit(folder)
    after = state(folder)
    path = ObjectStore(folder / STORE).path(first.files["x/map.mrc"])
    path.write_bytes(b"\1" + bytes(2999))
    with pytest.raises(InputError, match=f"{path}: was tampered with"):
        revert(folder, first.short)
    path.unlink()
    with pytest.raises(InputError, match=f"{path}: is missing"):
        revert(folder, first.short)
    assert state(folder) == after


def test_tampered_manifests_are_refused(folder):
    first = commit(folder)
    path = folder / STORE / "commits" / f"{first.identity}.json"
    path.write_text(path.read_text().replace("state", "State"))
    with pytest.raises(InputError, match=r"was tampered with"):
        revert(folder, first.short)
    with pytest.raises(InputError, match=r"no commit begins with 'rffff'"), open_history(folder) as history:
        history.find("rffff")


def test_what_is_removed_is_in_the_store_even_if_its_copy_was_damaged(folder):
    first = commit(folder)
    new = folder / "x" / "new.csv"
    new.write_text("1234\n")
    second = commit(folder)
    ObjectStore(folder / STORE).path(second.files["x/new.csv"]).write_text("9999\n")
    revert(folder, first.short)
    assert not new.exists()
    revert(folder, second.short)
    assert new.read_text() == "1234\n"


def test_a_folder_in_the_way_is_named_before_anything_changes(folder):
    first = commit(folder)
    (folder / "x" / "map.mrc").unlink()
    (folder / "x" / "map.mrc").mkdir()
    before = state(folder)
    with pytest.raises(InputError, match=r"map\.mrc: a folder, link or other disk is in the way"):
        revert(folder, first.short)
    assert state(folder) == before


def test_a_second_writer_is_refused_and_a_dead_one_replaced(folder):
    with (
        open_history(folder, make=True),
        pytest.raises(InputError, match=rf"for 0 s, as process {os.getpid()} on {socket.gethostname()}"),
        open_history(folder),
    ):
        pass
    lock = folder / STORE / LOCK
    assert not lock.exists()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    lock.write_text(json.dumps({"host": socket.gethostname(), "pid": child.pid, "started": "1", "user": "a"}))
    commit(folder)
    lock.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started": "1", "user": "a"}))
    commit(folder)  # the number of the process is another one's now
    lock.write_text(json.dumps({"host": "elsewhere", "pid": child.pid, "started": "1", "user": "a"}))
    with pytest.raises(InputError, match=rf"a has been .* process {child.pid} on elsewhere"):
        commit(folder)


def test_damaged_locks_are_refused_with_the_remedy(folder):
    commit(folder)
    (folder / STORE / LOCK).write_text("{")
    with pytest.raises(InputError, match=r"delete this file"):
        commit(folder)


@pytest.mark.parametrize("step", range(1, 9))
def test_an_interrupted_revert_is_completed(folder, monkeypatch, step):
    """Whatever change of a name fails after the journal, the next command does the rest."""
    before, first = state(folder), commit(folder)
    (folder / "warp_tiltseries" / "A.xml").write_text("<other/>")
    (folder / "x" / "map.mrc").write_bytes(b"other")
    (folder / "x" / "new.csv").write_text("1\n")
    commit(folder)
    after, calls = state(folder), iter(range(1, 100))

    def failing(function):
        def call(*arguments):
            if next(calls) == step:
                raise KeyboardInterrupt
            return function(*arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr("mlit.project.history_revert.os.replace", failing(os.replace))
        patch.setattr("mlit.project.history_revert.sync_folder", failing(lambda folder: None))
        try:
            revert(folder, first.short)
        except KeyboardInterrupt:
            interrupted = True
        else:
            interrupted = False
    complete_interrupted(folder)
    assert state(folder) in ([before, after] if interrupted else [before])
    with open_history(folder) as history:
        assert not history.changed_files()


def test_a_folder_without_permission_is_named(folder, monkeypatch, caplog):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    record_run(folder)  # a run that is finished does not fail by this
    assert "cannot be made (Permission denied)" in caplog.text


CHILD = """
import random, sys
from pathlib import Path
from mlit.project.history import open_history
folder, commits = Path(sys.argv[1]), sys.argv[2:]
print("ready", flush=True)
while True:
    for wanted in commits:
        with open_history(folder) as history:
            history.revert(wanted)
        Path(folder, "turn.json").write_text("0")
        with open_history(folder) as history:
            history.commit("turn")
"""


def test_killed_at_any_moment_a_folder_is_before_or_after(folder):
    """Reverts and commits of 3 MB in another process, which is killed again and again."""
    random = np.random.default_rng(1)
    states, commits = [], []
    for _ in range(2):
        for number in range(30):  # many names to change make it likely to be killed amid them
            (folder / "x" / f"{number}.mrc").write_bytes(random.bytes(100_000))
        (folder / "x" / f"{len(states)}.csv").write_text(f"{len(states)}")
        commits.append(commit(folder))
        states.append(state(folder))
    seen = set()
    for _ in range(15):
        words = [sys.executable, "-c", CHILD, str(folder), *(one.identity for one in commits)]
        child = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(random.uniform(0, 0.15))
        child.kill()
        child.wait()
        child.stdout.close()
        with open_history(folder) as history:
            now = {name: content for name, content in state(folder).items() if name != "turn.json"}
            assert now in states
            assert set(history.changed_files()) <= {"turn.json"}  # HEAD and files belong together
            seen.add(states.index(now))
            check_contents(history)
    assert seen == {0, 1}


def check_contents(history: History) -> None:
    """Every commit that is listed can be brought back."""
    objects = ObjectStore(history.store)
    for one in history.commits():
        assert all(objects.holds(content) for content in one.files.values())
