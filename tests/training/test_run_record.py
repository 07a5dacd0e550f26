import json

import pytest
from omegaconf import OmegaConf

from mlit.errors import InputError
from mlit.training.run_record import claim_output, note_settings


@pytest.fixture
def cfg(tmp_path):
    (tmp_path / "in.star").write_text("rows")
    values = {
        "output": str(tmp_path / "run"),
        "data": {"particles": str(tmp_path / "in.star"), "exclude": []},
        "species": {"diameter": 100.0, "half_maps": None},
        "trainer": {"accelerator": "cpu"},
        "memory_gib": 9.0,
        "seed": 1,
    }
    return OmegaConf.create(values)


@pytest.fixture
def started(cfg, tmp_path):
    """A folder in which something has been reached."""
    output = tmp_path / "run"
    note_settings(output, cfg)
    (output / "checkpoints" / "series").mkdir()
    (output / "checkpoints" / "series" / "TS_1.pt").touch()
    return output


def changed(cfg, **values):
    return OmegaConf.merge(cfg, OmegaConf.create(values))


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_same_settings_go_on(cfg, started):
    before = files_of(started)
    claim_output(started, cfg)
    assert files_of(started) == before


def test_how_it_is_computed_may_change(cfg, started):
    before = files_of(started)
    claim_output(started, changed(cfg, trainer={"accelerator": "gpu"}, output="elsewhere", memory_gib=7))
    assert files_of(started) == before


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"seed": 2}, "seed"),
        ({"species": {"diameter": 120.0}}, "species.diameter"),
        ({"data": {"exclude": ["TS_1"]}}, "data.exclude"),
        ({"optimizer": {"passes": 2}}, "optimizer"),
    ],
)
def test_other_settings_are_refused_by_key(cfg, started, values, key):
    with pytest.raises(InputError, match=rf"another {key}.*give another output"):
        claim_output(started, changed(cfg, **values))


def test_relative_path_of_the_same_file_goes_on(cfg, started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = files_of(started)
    claim_output(started, changed(cfg, data={"particles": "in.star"}))
    assert files_of(started) == before


def test_changed_input_is_refused(cfg, started, tmp_path):
    (tmp_path / "in.star").write_text("other rows")
    with pytest.raises(InputError, match=r"in\.star has changed"):
        claim_output(started, cfg)


@pytest.mark.parametrize("reached", ["summary.json", "checkpoints/last.ckpt", None])
def test_a_folder_is_taken_once_something_is_reached(cfg, tmp_path, reached):
    output = tmp_path / "run"
    note_settings(output, cfg)
    if reached is None:
        claim_output(output, changed(cfg, seed=2))
        return
    (output / reached).touch()
    with pytest.raises(InputError, match="another seed"):
        claim_output(output, changed(cfg, seed=2))


def test_damaged_record_is_named(cfg, started):
    (started / "checkpoints" / "config.json").write_text('{"settings": ')
    with pytest.raises(InputError, match=r"config\.json: is damaged"):
        claim_output(started, cfg)


def test_record_is_readable(cfg, started):
    record = json.loads((started / "checkpoints" / "config.json").read_text())
    assert record["settings"]["seed"] == 1
    assert "output" not in record["settings"]
    assert len(record["input_sha256"]) == 1
