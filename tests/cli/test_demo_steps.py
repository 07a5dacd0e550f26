import re
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from rich.console import Console

from mlit.cli import simulate
from mlit.cli.demo_steps import comparison_table, simulate_once, with_true_metadata
from mlit.errors import InputError
from mlit.io.fsc_star import write_fsc_star
from mlit.maps.fsc import FscCurves
from mlit.project.warp_project import load_warp_project

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
    project, output = tmp_path / "project", tmp_path / "run"
    simulate_once(OmegaConf.create(TINY), project)
    shutil.copytree(project / "warp_tiltseries", output / "warp_tiltseries")
    (output / "molecule").mkdir()
    shutil.copy(project / "particles.star", output / "molecule" / "particles.star")
    frequency = torch.arange(11) / 100
    for path, slope in (
        (output / "fsc" / "molecule" / "iteration_0.star", 20.0),
        (output / "molecule" / "fsc.star", 15.0),
        (output / "true_metadata" / "molecule" / "fsc.star", 10.0),
    ):
        curve = 1 - slope * frequency
        write_fsc_star(path, FscCurves(frequency, curve, curve, curve, curve))
    console = Console(width=100, record=True)
    console.print(comparison_table(project, output, "molecule"))
    lines = console.export_text().splitlines()
    rows = [line for line in lines if "particle" in line or "defocus" in line]
    assert len(rows) == 3
    for row in rows:
        start, refined, truth = re.findall(r"\d+\.?\d*", row)[-3:]
        assert start == refined
        assert float(start) > 0
        assert truth == "0"
    resolution = next(line for line in lines if "half maps" in line)
    assert [float(v) for v in re.findall(r"\d+\.\d", resolution)[-3:]] == pytest.approx([23.3, 17.5, 11.7], abs=0.1)


def test_config_of_the_truth_reads_true_metadata(tmp_path):
    project = tmp_path / "project"
    simulate_once(OmegaConf.create(TINY), project)
    cfg = OmegaConf.create(
        {
            "output": "run",
            "data": {"settings": "a", "particles": "b"},
            "schedule": {"iterations": [1]},
            "denoiser": {"posterior_mean": True, "network": {"width": 4}},
            "logger": {"name": "x"},
        }
    )
    OmegaConf.set_struct(cfg, True)  # as every composed config is
    true = with_true_metadata(cfg, project, tmp_path / "true_metadata")
    assert cfg.output == "run"
    assert list(cfg.schedule.iterations) == [1]
    assert "network" in cfg.denoiser
    assert "network" not in true.denoiser
    loaded = load_warp_project(Path(true.data.settings), Path(true.data.particles))
    truth = load_warp_project(project / "warp_tiltseries.settings", project / "truth" / "particles.star")
    assert not loaded.failures
    assert not torch.equal(loaded.series[0].geometry.image_warp, truth.series[0].geometry.image_warp)
