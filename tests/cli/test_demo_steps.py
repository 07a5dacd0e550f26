import re

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from mlit.cli import simulate
from mlit.cli.demo_steps import comparison_table, simulate_once
from mlit.errors import InputError

TINY = {
    "series": 1,
    "tilts": {"max_angle_deg": [40.0], "step_deg": [20.0]},
    "microscope": {"width": 96, "height": 96, "pixel_size_angstrom": 10.0},
    "sample": {"particles": 6, "thickness_angstrom": 600.0, "crowding": 0.0, "min_distance_angstrom": 100.0},
}


def test_simulates_once_and_refuses_other_values(tmp_path, monkeypatch):
    project = tmp_path / "project"
    config = OmegaConf.create(TINY)
    (tmp_path / "project.unfinished").mkdir()
    (tmp_path / "project.unfinished" / "left_over").write_text("of an interrupted call")
    simulate_once(config, project)
    assert (project / "particles.star").is_file()
    assert not (project / "left_over").exists()
    assert not (tmp_path / "project.unfinished").exists()
    monkeypatch.setattr(simulate, "run", lambda cfg: pytest.fail("it simulated again"))
    simulate_once(config, project)
    with pytest.raises(InputError, match="other values"):
        simulate_once(OmegaConf.merge(config, {"series": 2}), project)


def test_interrupted_simulation_leaves_no_project(tmp_path, monkeypatch):
    def stop(cfg):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        simulate_once(OmegaConf.create(TINY), tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_comparison_of_the_start_with_itself(tmp_path):
    project = tmp_path / "project"
    simulate_once(OmegaConf.create(TINY), project)
    console = Console(width=100, record=True)
    console.print(comparison_table(project, project / "warp_tiltseries", project / "particles.star"))
    rows = [line for line in console.export_text().splitlines() if "particle" in line or "defocus" in line]
    assert len(rows) == 3
    for row in rows:
        start, refined, truth = re.findall(r"\d+\.?\d*", row)[-3:]
        assert start == refined
        assert float(start) > 0
        assert truth == "0"
