import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from mlit.cli.simulate import run
from mlit.errors import InputError
from mlit.geometry.rotations import matrix_from_euler
from mlit.geometry.trajectory import evaluate_trajectory, normalised_dose
from mlit.io.mrc import read_mrc, read_mrc_header
from mlit.io.particles import read_particles
from mlit.io.star import read_star
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.optics.ctf import ctf, phase_aberration
from mlit.optics.dose import critical_exposure_envelope
from mlit.project.warp_project import load_warp_project
from mlit.project.xml_geometry import geometry_from_xml
from mlit.simulation.scattering import interaction_constant
from mlit.simulation.simulate import simulate
from mlit.simulation.splat import PatchGrid
from mlit.simulation.structure_file import load_structure
from mlit.simulation.truth_files import TRUTH_FILES

HARD = {
    "picks": {"false_fraction": 0.34},
    "defects": {"bad_tilts": 2},
    "tilts": {"missing": 1},
    "deformation": {"wrong_hand": True},
}
ERRORS = (
    "shift_error_angstrom",
    "stage_angle_error_deg",
    "image_warp_error_angstrom",
    "volume_warp_error_angstrom",
    "defocus_error_um",
)
EXACT = {
    "microscope": {"noise": False, "float16": False, "astigmatism_um": 0.1},
    "sample": {"crowding": 0.0},
    "picks": {"position_error_angstrom": 0.0, "rotation_error_deg": 0.0},
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def hard(tmp_path_factory, small_config) -> Path:
    """Project with everything that goes wrong."""
    return simulate(small_config(HARD), tmp_path_factory.mktemp("hard") / "project").parent


@pytest.fixture(scope="module")
def plain(tmp_path_factory, small_config) -> Path:
    return simulate(small_config(), tmp_path_factory.mktemp("plain") / "project").parent


def load(folder: Path):
    return load_warp_project(folder / "warp_tiltseries.settings", folder / "particles.star")


def test_project_loads_with_different_tilt_counts(plain):
    project = load(plain)
    assert not project.failures
    assert [len(series.image_paths) for series in project.series] == [7, 5]
    assert project.pixel_size_angstrom == 8.0
    assert project.series[0].image_size_px == (64, 72)
    assert sorted(project.particles.half_set.tolist()) == [1] * 6 + [2] * 6
    assert project.series[0].geometry.volume_size_angstrom.tolist() == [512.0, 576.0, 800.0]
    assert project.series[0].optics.astigmatism_um.norm(dim=-1).tolist() == pytest.approx([0.05] * 7)


def test_layout_is_that_of_warptools(plain):
    files = contents(plain)
    expected = {"warp_tiltseries.settings", "particles.star", "tomostar/TS_01.tomostar"}
    expected |= {"warp_tiltseries/TS_02.xml", "warp_frameseries/average/TS_01_06.mrc"}
    expected |= {f"truth/{name.replace('NAME', 'TS_01')}" for name in TRUTH_FILES}
    assert expected <= set(files)
    assert read_mrc_header(plain / "warp_frameseries/average/TS_01_00.mrc").mode == 12
    particles = read_star(plain / "particles.star")["particles"]
    assert list(particles.columns) == [
        "rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ", "rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi",
        "rlnMicrographName", "rlnTomoName", "rlnRandomSubset", "rlnOpticsGroup",
    ]  # fmt: skip


def test_same_seed_same_bytes_on_any_number_of_threads(plain, tmp_path, small_config):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        simulate(small_config(), tmp_path / "again")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert contents(tmp_path / "again") == contents(plain)


def test_other_seed_other_images_but_a_fixed_molecule_stays(tmp_path, small_config):
    changes = {"series": 1, "structure": {"seed": 3}}
    folders = [simulate(small_config(changes | {"seed": s}), tmp_path / str(s)).parent for s in (1, 2)]
    one, two = (contents(folder) for folder in folders)
    assert one["truth/structure.npz"] == two["truth/structure.npz"]
    assert one["warp_frameseries/average/TS_01_02.mrc"] != two["warp_frameseries/average/TS_01_02.mrc"]


def test_false_picks_and_lost_tilts_are_in_the_truth(hard):
    meta = json.loads((hard / "truth" / "meta.json").read_text())
    flags = read_star(hard / "truth" / "particles.star")["particles"]["mlitFalsePick"].astype(int)
    assert flags.tolist() == ([0] * 6 + [1] * 2) * 2
    assert "mlitFalsePick" not in read_star(hard / "particles.star")["particles"]
    assert [s["tilts"] for s in meta["series"].values()] == [6, 4]
    assert [s["false_picks"] for s in meta["series"].values()] == [2, 2]
    lost = meta["series"]["TS_01"]["missing_tilts"]
    assert len(lost) == 1
    assert not (hard / "warp_frameseries" / "average" / f"TS_01_{lost[0]:02d}.mrc").exists()


def test_bad_tilts_are_dark_and_known_to_the_truth_only(hard):
    meta = json.loads((hard / "truth" / "meta.json").read_text())["series"]["TS_01"]
    bad = {entry["tilt"]: entry["kind"] for entry in meta["bad_tilts"]}
    start = TiltSeriesXml.read(hard / "warp_tiltseries" / "TS_01.xml")
    true = TiltSeriesXml.read(hard / "truth" / "warp" / "TS_01.xml")
    assert start.use_tilt.all()
    assert sorted(np.flatnonzero(~true.use_tilt)) == sorted(bad)
    means = [float(read_mrc(path)[0].mean()) for path in load(hard).series[0].image_paths]
    typical = np.median([mean for tilt, mean in enumerate(means) if tilt not in bad])
    for tilt, kind in bad.items():
        assert means[tilt] < (0.1 if kind == "dark" else 0.8) * typical


def test_wrong_hand_is_in_the_start_only(hard):
    assert not TiltSeriesXml.read(hard / "warp_tiltseries" / "TS_01.xml").are_angles_inverted
    assert TiltSeriesXml.read(hard / "truth" / "warp" / "TS_01.xml").are_angles_inverted


def test_truth_holds_the_deformations_and_the_start_lacks_them(plain):
    start = TiltSeriesXml.read(plain / "warp_tiltseries" / "TS_01.xml")
    true = TiltSeriesXml.read(plain / "truth" / "warp" / "TS_01.xml")
    assert true.grid("GridMovementX").shape == (7, 4, 4)
    assert true.volume_grid("GridVolumeWarpZ").shape == (8, 2, 3, 3)
    assert true.grid("GridAngleY").shape == (7, 1, 1)
    assert start.grid("GridMovementX").shape == (1, 1, 1)
    assert not start.volume_grid("GridVolumeWarpZ").any()
    assert np.std(true.axis_offset_angstrom - start.axis_offset_angstrom) == pytest.approx(4.0, rel=0.5)
    assert not np.array_equal(true.grid("GridCTF"), start.grid("GridCTF"))


def analytic_image(folder: Path, tilt: int) -> torch.Tensor:
    """Expected counts of one tilt from the truth alone: exact structure factors and CTF on a wide image."""
    series = load_warp_project(folder / "warp_tiltseries.settings", folder / "truth/particles.star").series[0]
    molecule = load_structure(folder / "truth/structure.npz")
    table = read_particles(folder / "truth/particles.star", 8.0)
    time = normalised_dose(series.geometry.dose)
    position = evaluate_trajectory(torch.as_tensor(table.position_angstrom), time)
    rotation = matrix_from_euler(evaluate_trajectory(torch.deg2rad(torch.as_tensor(table.euler_deg)), time))
    xml = TiltSeriesXml.read(folder / "truth/warp/TS_01.xml")
    sizes = (series.geometry.volume_size_angstrom.tolist(), series.geometry.image_size_angstrom.tolist())
    geometry = geometry_from_xml(xml, *sizes)
    xy, defocus = geometry.project(position)
    grid = PatchGrid(128, 128, 8.0)
    frequency = grid.frequency_xy()
    gamma = phase_aberration(frequency, defocus, series.optics)[:, tilt]
    turn = geometry.orient(rotation, position)[:, tilt, :2]
    points = torch.einsum("pij,aj->pai", turn, molecule.position_angstrom) + xy[:, tilt, None] + 256.0
    spectrum = torch.zeros(128, 65, dtype=torch.complex128)
    for particle, phase in enumerate(gamma):
        angle = -2 * np.pi * (frequency @ points[particle].T)
        wave = torch.complex(torch.cos(angle), torch.sin(angle)) @ molecule.potential_volt_angstrom3[0].cdouble()
        spectrum += wave * ctf(phase)
    k = frequency.norm(dim=-1)
    damage = critical_exposure_envelope(k, geometry.dose[tilt] + 1.5) * molecule.envelope(k**2)[0]
    signal = torch.fft.irfft2(spectrum * damage, s=(128, 128))[32:104, 32:96] / 64.0
    cosine = geometry.tilt_matrices()[tilt, 2, 2]
    return 3.0 * 64 * torch.exp(-400 / 3000 / cosine) * (1 - 2 * interaction_constant(300.0) * 0.6 * signal)


MOVING = {"particle_motion_error_angstrom": 20.0, "particle_motion_error_deg": 10.0, "tilt_angle_error_deg": 1.0}


@pytest.mark.parametrize("deformation", [{}, {name: 0.0 for name in ERRORS}, MOVING])
def test_noiseless_images_are_the_analytic_ones(tmp_path, small_config, deformation):
    changes = EXACT | {"series": 1, "deformation": deformation | {"offset_angstrom": 10.0}}
    folder = simulate(small_config(changes), tmp_path / "ideal").parent
    inner = PatchGrid(72, 64, 8.0).frequency_xy().norm(dim=-1) < 0.8 / 16
    inner[0, 0] = False
    for tilt in (0, 3, 5):
        image = torch.as_tensor(read_mrc(load(folder).series[0].image_paths[tilt])[0])
        exact = analytic_image(folder, tilt)
        difference, signal = (torch.fft.rfft2(x.double())[inner].norm() for x in (image - exact, exact))
        assert difference < 1e-2 * signal  # what lies above 80 % of Nyquist leaks in where the image ends
        assert float(image.mean()) == pytest.approx(float(exact.mean()), rel=1e-4)


def test_noise_without_signal_is_flat_poisson(tmp_path, small_config):
    changes = {"series": 1, "microscope": {"contrast": 0.0}, "sample": {"crowding": 0.0}}
    folder = simulate(small_config(changes), tmp_path / "noise").parent
    images = np.stack([read_mrc(path)[0] for path in load(folder).series[0].image_paths])
    assert images.var((1, 2)) == pytest.approx(images.mean((1, 2)), rel=0.1)


def test_a_project_is_never_overwritten(plain, small_config):
    with pytest.raises(InputError, match="there is a project already"):
        simulate(small_config(), plain)


def test_molecules_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, small_config):
    with pytest.raises(InputError, match="molecules fit"):
        simulate(small_config({"sample": {"particles": 500}}), tmp_path / "full")
    assert not (tmp_path / "full").exists()


def test_structure_file_is_used(tmp_path, small_config):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "atoms.npz", xyz=rng.normal(size=(300, 3)) * 15, element=np.array(["C"] * 300))
    changes = {"series": 1, "structure": {"path": str(tmp_path / "atoms.npz")}}
    folder = simulate(small_config(changes), tmp_path / "project").parent
    assert load_structure(folder / "truth" / "structure.npz").potential_volt_angstrom3.shape == (2, 300)


def test_verb_simulates_and_says_where(tmp_path, small_config, capsys):
    config = asdict(replace(small_config(), series=1))
    run(OmegaConf.create({"output": str(tmp_path / "project"), "simulation": config}))
    assert (tmp_path / "project" / "warp_tiltseries.settings").is_file()
    assert "project/truth" in capsys.readouterr().out.replace("\n", "")
