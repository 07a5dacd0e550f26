"""What processes of one run tell each other: two of them, joined by gloo."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from mlit.training import ranks

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = """
    import json, os, signal, sys
    from datetime import timedelta
    from pathlib import Path
    import torch
    import torch.distributed as dist
    from mlit.training import ranks
    from mlit.errors import InputError

    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    ranks.Meeting.arrange(timedelta(seconds=60))
    told = {"who": [ranks.rank(), ranks.count(), ranks.is_first(), ranks.own_path(Path("a/sums.pt")).name]}

    def fail():
        raise InputError("half set 2 is empty")

    def tell(**more):
        told.update(more)
        (folder / f"{rank}.json").write_text(json.dumps(told))

    sums = torch.full((3, 2), 1.0 + rank)
    ranks.add_up(sums)
    found = ranks.gather({"rank": torch.tensor(rank), "much": torch.zeros(1000 * rank)})
    tell(sums=sums.tolist(), found=[(int(one["rank"]), len(one["much"])) for one in found])
    tell(followed=ranks.from_first(lambda: {"here": rank, "tensor": torch.ones(2)})["here"])
    tell(nothing=ranks.from_first(lambda: None))
    try:
        ranks.from_first(fail)
    except InputError as error:
        tell(failed=str(error))
    except SystemExit as error:
        tell(failed=error.code)
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        ranks.add_up(torch.zeros(2, 2))
    except KeyboardInterrupt:
        tell(interrupted=True)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each of two processes tells."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "script.py").write_text(textwrap.dedent(SCRIPT))
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = ["timeout", "-s", "KILL", "60", sys.executable, str(folder / "script.py")]
    both = [subprocess.Popen([*command, str(rank), str(folder)], env=environment) for rank in (0, 1)]
    codes = [process.wait() for process in both]
    assert codes == [0, -signal.SIGKILL]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_the_first_is_one_of_two(told):
    assert told[0]["who"] == [0, 2, True, "sums_0_of_2.pt"]
    assert told[1]["who"] == [1, 2, False, "sums_1_of_2.pt"]


def test_sums_are_added_up_in_the_first(told):
    assert told[0]["sums"] == [[3.0, 3.0]] * 3


def test_the_first_gets_what_each_has_found(told):
    assert told[0]["found"] == [[0, 0], [1, 1000]]
    assert told[1]["found"] == []


def test_all_get_what_the_first_has_made(told):
    assert [one["followed"] for one in told] == [0, 0]
    assert [one["nothing"] for one in told] == [None, None]


def test_what_the_first_cannot_do_ends_the_others_quietly(told):
    assert [one["failed"] for one in told] == ["half set 2 is empty", 0]


def test_the_loss_of_a_process_is_an_interruption(told):
    assert told[0]["interrupted"]


def test_one_process_needs_no_others(tmp_path):
    sums = torch.ones(2, 3)
    ranks.add_up(sums)
    assert torch.equal(sums, torch.ones(2, 3))
    found = object()
    assert ranks.gather(found)[0] is found
    assert ranks.from_first(lambda: found) is found
    assert ranks.own_path(tmp_path / "sums.pt") == tmp_path / "sums.pt"
    assert ranks.is_first()
    ranks.leave_to_first()
    with pytest.raises(ValueError, match="as it is"):
        ranks.from_first(fail)


def fail():
    raise ValueError("as it is")
