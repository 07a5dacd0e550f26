"""What a scheduler says to a run."""

import logging
import os
import signal
from types import SimpleNamespace

import lightning
import pytest

from mlit.training import signals


@pytest.fixture
def handlers():
    """Put back what signals did before."""
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A program of that name, which notes its words; exits with the code in a file, if there is one."""
    program = tmp_path / "scontrol"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/called\nexit $(cat {tmp_path}/code 2>/dev/null || echo 0)\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


class Trainer(lightning.Trainer):
    """One of several processes."""

    is_global_zero = True

    def __init__(self, first):
        self.is_global_zero = first


def start(first=True):
    signals.Signals().on_fit_start(Trainer(first), lightning.LightningModule())


def test_sigterm_stops_as_ctrl_c_does(handlers):
    start()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)  # schedulers and their wrappers may say it twice


def test_another_program_that_listens_to_sigterm_keeps_its_way(handlers):
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    start()
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]


@pytest.mark.parametrize(
    ("variables", "job"),
    [
        ({"SLURM_JOB_ID": "77"}, "77"),
        ({"SLURM_JOB_ID": "78", "SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "4"}, "77_4"),
    ],
)
def test_slurm_queues_the_job_again_and_the_run_goes_on(handlers, scontrol, monkeypatch, caplog, variables, job):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    start()
    with caplog.at_level(logging.INFO):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert (scontrol / "called").read_text() == f"requeue {job}\n"
    assert f"job {job} is queued again" in caplog.text


def test_a_job_that_cannot_be_queued_again_is_named(handlers, scontrol, monkeypatch, caplog):
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    (scontrol / "code").write_text("1")
    start()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert "job 77 cannot be queued again" in caplog.text
    assert "submit it once more" in caplog.text


def test_only_the_first_process_asks(handlers, scontrol, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    start(first=False)
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGINT)
    assert not (scontrol / "called").exists()


def test_a_process_of_its_own_does_not_end_with_another(monkeypatch):
    monkeypatch.delenv(signals.FIRST_PROCESS, raising=False)
    signals.end_with_first()
    assert os.environ[signals.FIRST_PROCESS] == str(os.getpid())
    monkeypatch.setattr(signals, "is_first", lambda: False)
    monkeypatch.setenv(signals.FIRST_PROCESS, "1" if os.getppid() != 1 else "2")
    monkeypatch.setattr(signals.ctypes, "CDLL", lambda name: SimpleNamespace(prctl=lambda *words: 0))
    with pytest.raises(SystemExit):
        signals.end_with_first()
