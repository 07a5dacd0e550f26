"""Work shared out over the cores."""

import ctypes
import os
import subprocess
import sys
import threading

import pytest
import torch

from mlit.parallel import cores, one_thread_each, run_pieces

WAIT_S = 20.0  # far longer than threads need to meet; a test that waits this long has failed


@pytest.fixture
def three_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")


@pytest.fixture
def two_threads():
    """PyTorch with two threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_pieces(three_cores):
    """The first piece ends last: it waits for all others."""
    others = threading.Semaphore(0)

    def square(piece):
        if piece == 0:
            assert all(others.acquire(timeout=WAIT_S) for _ in range(9))
        else:
            others.release()
        return piece**2

    assert run_pieces(square, range(10)) == [piece**2 for piece in range(10)]


def test_pieces_run_side_by_side_and_no_more_than_there_are_cores(three_cores):
    meeting, lock = threading.Barrier(3), threading.Lock()
    running, most = 0, 0

    def meet(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        meeting.wait(timeout=WAIT_S)
        with lock:
            running -= 1
        return threading.get_ident()

    threads = run_pieces(meet, range(9))
    assert most == 3
    assert len(set(threads)) == 3
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(("asked", "count"), [("1", 6), ("4", 1), ("4", 0)])
def test_one_core_one_piece_or_none_need_no_thread(monkeypatch, asked, count):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert run_pieces(lambda _: threading.get_ident(), range(count)) == [threading.get_ident()] * count


def test_pieces_of_other_devices_run_one_after_the_other(three_cores):
    here = threading.get_ident()
    assert run_pieces(lambda _: threading.get_ident(), range(5), "meta") == [here] * 5
    assert here not in run_pieces(lambda _: threading.get_ident(), range(5), torch.device("cpu"))


def test_any_iterable_will_do(three_cores):
    assert run_pieces(str.upper, (letter for letter in "abcd")) == ["A", "B", "C", "D"]
    assert [part.tolist() for part in run_pieces(torch.neg, torch.arange(4).split(2))] == [[0, -1], [-2, -3]]


@pytest.mark.parametrize("asked", ["1", "3"])
@pytest.mark.parametrize("bad", [0, 5])
def test_what_goes_wrong_in_a_piece_reaches_the_caller(monkeypatch, two_threads, asked, bad):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)

    def divide(piece):
        if piece == bad:
            raise torch.linalg.LinAlgError(f"piece {piece} is singular")
        return piece

    with pytest.raises(torch.linalg.LinAlgError, match=f"piece {bad} is singular"):
        run_pieces(divide, range(6))
    assert torch.get_num_threads() == 2


def test_a_failure_spares_the_pieces_that_have_not_begun(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    begun, failed = [], threading.Event()

    def work(piece):
        begun.append(piece)
        if piece == 0:
            failed.set()
            raise ValueError("no")
        failed.wait(timeout=WAIT_S)
        threading.Event().wait(0.02)

    with pytest.raises(ValueError, match="no"):
        run_pieces(work, range(1000))
    assert len(begun) < 100


def test_pytorch_has_one_thread_inside_and_its_own_number_after(three_cores, two_threads):
    assert run_pieces(lambda _: torch.get_num_threads(), range(6)) == [1] * 6
    assert torch.get_num_threads() == 2


def test_block_restores_the_number_of_threads_even_after_a_failure(two_threads):
    with one_thread_each():
        assert torch.get_num_threads() == 1
        with one_thread_each():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(KeyError), one_thread_each():
        raise KeyError
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("asked", "expected"), [("1", 1), ("7", 7), (" 5 ", 5), ("4,2", 4), ("64", 64)])
def test_environment_sets_the_cores(monkeypatch, asked, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert cores() == expected


@pytest.mark.parametrize("asked", ["", "0", "-2", "many", "2.5", "²", ",3", None])
def test_an_environment_that_says_nothing_leaves_what_the_system_grants(monkeypatch, asked):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 4, 9, 11}, raising=False)
    assert cores() == 5


@pytest.mark.parametrize(("count", "expected"), [(6, 6), (None, 1)])
def test_systems_without_affinity_say_how_many_cores_there_are(monkeypatch, count, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert cores() == expected


def test_results_equal_the_serial_ones_bit_by_bit(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    volumes = torch.randn(7, 24, 24, 24, generator=generator)

    def work(volume):
        return torch.fft.rfftn(volume).abs().square().sum((0, 1)), volume.flatten() @ volume.flatten()

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = run_pieces(work, volumes)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    shared = run_pieces(work, volumes)
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_pieces_may_write_to_their_own_parts(three_cores):
    target = torch.zeros(20, 5)

    def fill(row):
        target[row] = row

    assert run_pieces(fill, range(20)) == [None] * 20
    assert torch.equal(target, torch.arange(20.0)[:, None].expand(20, 5))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_pieces_track_gradients_as_their_caller_does(three_cores, mode):
    """PyTorch keeps this setting for each thread apart; left alone, pieces would build graphs nobody wants."""
    weight = torch.ones(3, requires_grad=True)
    with mode():
        expected = ((weight * 2).requires_grad, torch.is_inference_mode_enabled())
        found = run_pieces(lambda _: ((weight * 2).requires_grad, torch.is_inference_mode_enabled()), range(4))
    assert found == [expected] * 4


def test_gradients_flow_through_pieces(three_cores):
    weight = torch.arange(1.0, 5.0, requires_grad=True)
    torch.stack(run_pieces(lambda i: weight[i] ** 2, range(4))).sum().backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, 2 * weight.detach())


def test_memory_of_large_tensors_is_reused():
    """In a process of its own, since the setting stays: a chain of temporaries of 8 MB costs no new pages."""
    code = (
        "import resource, torch\n"
        "from mlit.parallel import reuse_memory\n"
        "def work():\n"
        "    x = torch.ones(1 << 21)\n"
        "    for _ in range(4): x = x + 1\n"
        "reuse_memory()\n"
        "for _ in range(20): work()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20): work()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    one_block = (1 << 23) // os.sysconf("SC_PAGESIZE")
    if getattr(ctypes.CDLL(None), "mallopt", None) is not None:
        assert int(done.stdout) < one_block
