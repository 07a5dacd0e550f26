"""The verb, and the report at the end of a run, which must never end it."""

import logging

import pytest

from mlit.cli import report
from mlit.errors import InputError


def test_a_folder_without_a_run_is_refused_in_one_line(call, capsys, tmp_path):
    assert call("report", f"output={tmp_path}") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "holds no summary.json; give the output folder of a finished run" in captured.err


@pytest.mark.parametrize("error", [InputError("no space"), ValueError("two\nlines"), MemoryError()])
def test_a_failure_is_one_warning(monkeypatch, caplog, tmp_path, error):
    def fail(folder):
        raise error

    monkeypatch.setattr(report, "write_report", fail)
    with caplog.at_level(logging.INFO, "mlit"):
        report.report_run(tmp_path)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert "\n" not in message
    assert type(error).__name__ in message
    assert f"mlit report output={tmp_path}" in message
