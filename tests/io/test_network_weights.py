"""Weights in files, and files that are none."""

import pickle

import pytest
import torch

from mlit.errors import InputError
from mlit.io.network_weights import read_weights, write_weights

STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(4)}


class Opens:
    """What a malicious pickle does: it calls something on loading."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_written_weights_are_read_again(tmp_path):
    path = tmp_path / "new" / "weights.pt"
    write_weights(path, {"width": 8, "rate": 0.5}, STATE)
    settings, state = read_weights(path)
    assert settings == {"width": 8, "rate": 0.5}
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], value) for name, value in STATE.items())


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_code_in_a_file_is_not_run(tmp_path, kind):
    path, victim = tmp_path / "weights.pt", tmp_path / "written"
    content = {"format": "mlit map denoiser, version 1", "settings": {}, "state": Opens(victim)}
    if kind == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=r"weights\.pt: holds no weights of mlit"):
        read_weights(path)
    assert not victim.exists()


def test_foreign_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "weights.pt"
    with pytest.raises(InputError, match="not found"):
        read_weights(path)
    path.write_text("no weights")
    with pytest.raises(InputError, match="holds no weights"):
        read_weights(path)
    torch.save({"state_dict": STATE}, path)
    with pytest.raises(InputError, match="holds no weights of mlit's denoiser"):
        read_weights(path)
    write_weights(path, {"width": 8}, STATE)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="holds no weights"):
        read_weights(path)
    write_weights(path, {"width": 8}, {"layer.weight": torch.tensor([1.0, torch.nan])})
    with pytest.raises(InputError, match="not finite"):
        read_weights(path)
    torch.save({"format": "mlit map denoiser, version 1", "settings": {"width": "8"}, "state": STATE}, path)
    with pytest.raises(InputError, match="damaged"):
        read_weights(path)
