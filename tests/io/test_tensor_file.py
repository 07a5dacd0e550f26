import resource
import signal
from contextlib import contextmanager

import pytest
import torch

from mlit.errors import InputError
from mlit.io.tensor_file import write_tensors


@contextmanager
def no_more_than(size):
    """Let no file grow beyond some bytes, as on a full disk."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_values_come_back(tmp_path):
    write_tensors(tmp_path / "new" / "a.pt", {"x": torch.arange(5), "n": 2})
    found = torch.load(tmp_path / "new" / "a.pt", weights_only=True)
    assert torch.equal(found["x"], torch.arange(5))
    assert found["n"] == 2


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.pt"
    write_tensors(path, {"x": 1})
    with no_more_than(10000), pytest.raises(InputError, match=r"a\.pt: cannot be written .*free space"):
        write_tensors(path, {"x": torch.zeros(10000)})
    assert torch.load(path, weights_only=True) == {"x": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]
