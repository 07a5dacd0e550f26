"""Runs of several processes, as far as they can be measured here."""

import os
import subprocess
import sys

import pytest

from mlit.benchmark import ranks
from mlit.benchmark.main import main
from mlit.benchmark.ranks import RankCost, peak_mib, ranks_table


def test_where_there_are_no_processes_the_reason_stands_instead(monkeypatch, capsys):
    monkeypatch.setattr(ranks, "group_options", lambda *_: ["cpu"])
    assert main(["scale", "--against", "ranks"]) == 0
    assert "ranks: not measured, there is no trainer=ddp" in capsys.readouterr().out


def test_the_ideal_is_the_time_over_the_processes():
    lines = ranks_table([RankCost(1, 60.0, 900.0), RankCost(2, 40.0, 800.0)]).splitlines()
    assert lines[2].split() == ["1", "60.0", "900", "100", "%"]
    assert lines[3].split() == ["2", "40.0", "800", "75", "%"]


def test_memory_is_that_of_each_command_not_of_the_largest_so_far():
    large, small = (
        peak_mib([sys.executable, "-c", f"print(len(bytearray({mib} << 20)))"], os.environ) for mib in (300, 100)
    )
    assert 300 < large < 400
    assert 100 < small < 200
    with pytest.raises(subprocess.CalledProcessError):
        peak_mib([sys.executable, "-c", "raise SystemExit(3)"], os.environ)
