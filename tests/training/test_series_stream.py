"""Series read ahead: the same as in turn, one at most, and nobody waits at the end."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest

from mlit.training.series_stream import AbandonedError, SeriesStream


class Thing:
    """Something large."""

    def __init__(self, index):
        self.index = index


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("order", [[], [3], [2, 0, 5, 1]])
def test_series_come_in_order_every_time(ahead, order):
    stream = SeriesStream(lambda index, heed: index, order, ahead)
    assert len(stream) == len(order)
    assert list(stream) == list(stream) == order


def test_the_next_is_read_meanwhile_and_no_further():
    begun = [threading.Event() for _ in range(4)]

    def read(index, heed):
        begun[index].set()
        return index

    numbers = iter(SeriesStream(read, range(4), ahead=True))
    assert next(numbers) == 0
    assert begun[1].wait(10)
    assert not begun[2].wait(0.1)
    assert list(numbers) == [1, 2, 3]


def test_nothing_is_held_but_what_comes_next():
    alive = weakref.WeakSet()

    def read(index, heed):
        gc.collect()
        assert len(alive) < 2
        thing = Thing(index)
        alive.add(thing)
        return thing

    for number, thing in enumerate(SeriesStream(read, range(5), ahead=True)):
        assert thing.index == number


@pytest.mark.parametrize("ahead", [False, True])
def test_errors_are_raised_where_the_series_is_wanted(ahead):
    def read(index, heed):
        if index == 1:
            raise ValueError("one")
        return index

    numbers = iter(SeriesStream(read, range(3), ahead))
    assert next(numbers) == 0
    with pytest.raises(ValueError, match="one"):
        next(numbers)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")])
def test_what_does_not_fit_beside_a_series_is_read_after_it(error):
    inside = threading.current_thread()

    def read(index, heed):
        if threading.current_thread() is not inside and index == 2:
            raise error
        return index

    assert list(SeriesStream(read, range(4), ahead=True)) == [0, 1, 2, 3]


@pytest.mark.parametrize("ahead", [True, False])
def test_what_does_not_fit_even_alone_is_left_out_and_the_others_go_on(ahead):
    def read(index, heed):
        if index == 1:
            raise MemoryError("3 GiB")
        return index

    stream = SeriesStream(read, range(4), ahead, leave_out=lambda index, error: (index, str(error)))
    assert list(stream) == [0, (1, "3 GiB"), 2, 3]
    with pytest.raises(MemoryError):
        list(SeriesStream(read, range(4), ahead))


def test_a_closed_stream_reads_no_further():
    def read(index, heed):
        heed()
        return index

    stream = SeriesStream(read, range(2), ahead=False)
    assert stream.read(1) == 1
    stream.close()
    with pytest.raises(AbandonedError):
        stream.read(1)


INTERRUPTED = """
import contextlib, time
from mlit.training.series_stream import SeriesStream

def read(index, heed):
    for _ in range(index * 3000):
        heed()
        time.sleep(0.01)
    return index

stream = SeriesStream(read, range(2), ahead=True)
with contextlib.closing(stream):
    next(iter_ := iter(stream))
    raise KeyboardInterrupt
"""


def test_an_interrupted_program_does_not_wait_for_the_reader():
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.strip().endswith("KeyboardInterrupt")
    assert time.monotonic() - started < 20
