"""Memory that a process finds."""

from mlit.training import memory_here as module
from mlit.training.memory_here import free_memory, granted, memory_here

GIB = 2**30


def test_limits_of_all_groups_around_the_process_count(tmp_path):
    inner = tmp_path / "job" / "step"
    inner.mkdir(parents=True)
    own = tmp_path / "cgroup"
    own.write_text("1:name=systemd:/elsewhere\n0::/job/step\n", encoding="ascii")
    (tmp_path / "job" / "memory.max").write_text("1000\n", encoding="ascii")
    (inner / "memory.max").write_text("max\n", encoding="ascii")
    assert list(granted(tmp_path, own)) == [1000.0]
    (tmp_path / "memory.max").write_text("5000\n", encoding="ascii")
    assert list(granted(tmp_path, own)) == [1000.0, 5000.0]
    assert list(granted(tmp_path / "nowhere", tmp_path / "nothing")) == []


def test_there_is_some_memory_here():
    assert memory_here() > GIB
    assert 0 < free_memory() <= memory_here()


def test_what_others_use_is_not_free(tmp_path, monkeypatch):
    table = tmp_path / "meminfo"
    table.write_text("MemTotal:  8000000 kB\nMemAvailable:    1000 kB\n", encoding="ascii")
    monkeypatch.setattr(module, "SYSTEM_MEMORY", table)
    assert free_memory() == 1000 * 1024
    monkeypatch.setattr(module, "SYSTEM_MEMORY", tmp_path / "elsewhere")
    assert free_memory() == memory_here()
