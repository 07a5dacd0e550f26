"""Findings: each fault of a tiny project is found and named, and a sound project has none."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.io.mrc import write_mrc
from mlit.likelihood.depth_hand import HandEvidence
from mlit.project.checks import check_project
from mlit.project.checks_depth import depth_findings
from mlit.project.checks_maps import check_maps
from mlit.project.findings import Finding, Severity, by_severity, write_findings
from mlit.project.warp_project import load_warp_project

SIZE = np.array([96.0, 64.0, 40.0])  # Å, of the volume


@pytest.fixture
def sound(tiny):
    """The tiny project, with angles and particles as one would wish them."""
    project = load_warp_project(tiny.settings, tiny.particles)
    rng = np.random.default_rng(0)
    count = 60
    table = project.particles
    spread = np.linspace(0.02, 0.98, count)[:, None] * SIZE
    spread[:, 2] = rng.permutation(spread[:, 2])
    particles = replace(
        table,
        series_name=np.array(["A"] * count, dtype=object),
        position_angstrom=spread[:, None],
        euler_deg=rng.uniform(0, 90, (count, 1, 3)),
        half_set=np.tile([1, 2], count // 2),
        weight=np.ones(count),
        source=table.source.iloc[[0] * count].assign(rlnRandomSubset="1").reset_index(drop=True),
    )
    series = replace(project.series[0], particle_index=torch.arange(count))
    return replace(project, series=(series,), particles=particles)


def with_geometry(project, **changes):
    series = project.series[0]
    return replace(project, series=(replace(series, geometry=replace(series.geometry, **changes)),))


def topics(project, diameter=None):
    return {(one.severity.value, one.topic) for one in check_project(project, diameter)}


def found(project, topic, diameter=None):
    return "\n".join(str(one) for one in check_project(project, diameter) if one.topic == topic)


def test_a_sound_project_has_no_findings(sound):
    assert topics(sound) <= {("warning", "coordinates")}  # turned, corners leave the images


@pytest.mark.parametrize(
    ("changes", "severity", "topic", "words"),
    [
        ({"defocus_um": torch.full((4,), -2.0)}, "error", "defocus", "overfocus"),
        ({"defocus_um": torch.full((4,), 25000.0)}, "error", "defocus", "seems to be in Å"),
        ({"defocus_um": torch.full((4,), 2500.0)}, "error", "defocus", "seems to be in nm"),
        ({"defocus_um": torch.tensor([2.0, 2.0, 4.0, 2.0])}, "warning", "defocus", "of tilts 3 is more than 1 µm"),
        ({"dose": torch.zeros(4)}, "error", "dose", "is 0 in all tilts"),
        ({"dose": torch.tensor([0.0, 3.0, 3.0, 6.0])}, "warning", "dose", "3 e/Å² for one"),
        ({"tilt_angle_rad": torch.tensor([-0.1, 0.0, 0.1, 0.2])}, "warning", "angles", "tilts span 11° only"),
        ({"tilt_angle_rad": torch.tensor([-1.4, 0.0, 1.0, 1.1])}, "warning", "angles", "tilts of 80°"),
    ],
)
def test_faults_of_a_series(sound, changes, severity, topic, words):
    broken = with_geometry(sound, **{key: value.double() for key, value in changes.items()})
    assert (severity, topic) in topics(broken)
    assert words in found(broken, topic)
    assert found(broken, topic).startswith("A: ")


def long_series(project, angle_deg, dose):
    count = len(angle_deg)
    geometry = project.series[0].geometry
    geometry = replace(
        geometry,
        tilt_angle_rad=torch.tensor(angle_deg).double().deg2rad(),
        dose=torch.tensor(dose).double(),
        axis_angle_rad=geometry.axis_angle_rad[:1].expand(count),
        axis_offset_angstrom=torch.zeros(count, 2).double(),
        defocus_um=torch.full((count,), 2.0).double(),
    )
    one = replace(
        project.series[0],
        geometry=geometry,
        use_tilt=torch.ones(count, dtype=torch.bool),
        image_paths=tuple(project.settings_path.parent / f"{i}" for i in range(count)),
    )
    return replace(project, series=(one,))


ANGLES = np.linspace(-60, 60, 41)


def test_doses_of_usual_schemes_are_sound(sound):
    symmetric = 3.0 * np.argsort(np.argsort(np.abs(ANGLES) + 0.1 * (ANGLES < 0)))
    one_way = 3.0 * np.arange(41)
    for dose in (symmetric, one_way):
        assert not {"dose", "dose order"} & {topic for _, topic in topics(long_series(sound, ANGLES, dose))}


def test_wrong_orders_and_units_of_dose_and_angle_are_found(sound):
    shifted = 3.0 * np.argsort(np.argsort(np.abs(ANGLES + 45)))
    assert "the first exposure is the tilt at -45°" in found(long_series(sound, ANGLES, shifted), "dose order")
    assert "goes to 1200 e/Å²" in found(long_series(sound, ANGLES, 30.0 * np.arange(41)), "dose")
    radians = np.deg2rad(ANGLES)
    assert "41 tilts span 2.09° only; give angles in degrees" in found(
        long_series(sound, radians, ANGLES + 60), "angles"
    )


@pytest.mark.parametrize(("factor", "likely"), [(4.0, 4), (8.0, 8)])
def test_binned_coordinates_taken_for_unbinned_ones_are_found(sound, factor, likely):
    table = sound.particles
    corner = replace(sound, particles=replace(table, position_angstrom=table.position_angstrom / factor))
    line = found(corner, "coordinates")
    assert "volume at the corner" in line
    assert f"their unit is likely {likely} times as large" in line
    middle = (table.position_angstrom - SIZE / 2) / factor + SIZE / 2
    assert "volume at the centre" in found(
        replace(sound, particles=replace(table, position_angstrom=middle)), "coordinates"
    )


def test_unbinned_coordinates_taken_for_binned_ones_are_refused_with_the_factor(tiny):
    tiny.set_particles(
        rlnTomoName=["A"] * 4,
        rlnCoordinateX=["4", "100", "180", "40"],
        rlnCoordinateY=["4", "100", "120", "40"],
        rlnCoordinateZ=["4", "50", "70", "40"],
        **{f"rlnAngle{angle}": ["10"] * 4 for angle in ("Rot", "Tilt", "Psi")},
    )
    with pytest.raises(
        InputError, match=r"with a unit 4 times smaller \(data\.coordinate_pixel_size_angstrom\) all fit"
    ):
        load_warp_project(tiny.settings, tiny.particles)


def test_faults_of_particles(sound):
    table = sound.particles
    euler = np.zeros_like(table.euler_deg)
    assert "are the same for all" in found(replace(sound, particles=replace(table, euler_deg=euler)), "orientations")
    half = np.ones(60, dtype=np.int64)
    half[:10] = 2
    assert "hold 50 and 10" in found(replace(sound, particles=replace(table, half_set=half)), "half sets")
    bare = replace(table, source=table.source.drop(columns="rlnRandomSubset"))
    assert "the table has none" in found(replace(sound, particles=bare), "half sets")
    place = table.position_angstrom.copy()
    place[1] = place[0] + 0.3
    twice = found(replace(sound, particles=replace(table, position_angstrom=place)), "duplicates", 4.0)
    assert "1 pairs of particles lie closer than 0.25 diameters, 1 of them in different half sets" in twice
    assert "is 28 Å; give it in Å, not nm" in found(sound, "diameter", 28.0)


def test_series_of_another_session_are_found(tiny):
    tiny.edit(tiny.xml("B"), 'AreAnglesInverted="True"', 'AreAnglesInverted="False"')
    tiny.edit(tiny.xml("C"), "85", "20")
    project = load_warp_project(tiny.settings, tiny.particles)
    assert "differs: B against the rest" in found(project, "depth")
    assert "C: tilt axis: lies at 20.0°, but at 85.0°" in found(project, "tilt axis")
    tiny.xml("A").unlink()
    assert check_project(load_warp_project(tiny.settings, tiny.particles))[0].severity is Severity.ERROR


def test_maps_are_compared_with_project_and_molecule(sound, tmp_path):
    maps = {"same": 4.0, "binned": 8.0, "calibrated": 4.1, "small": 1.0}
    for name, pixel in maps.items():
        write_mrc(tmp_path / f"{name}.mrc", np.zeros((32, 32, 32), np.float32), pixel)
    lines = {name: [str(one) for one in check_maps([tmp_path / f"{name}.mrc"], sound, 60.0)] for name in maps}
    assert lines["same"] == lines["binned"] == []
    assert "calibrated.mrc has 4.1 Å and the images 4 Å, 2.5 % off" in lines["calibrated"][0]
    assert "small.mrc is 32 Å wide, for a molecule of 60 Å" in lines["small"][0]
    assert "not found" in str(check_maps([tmp_path / "none.mrc"], sound, 60.0)[0])


def test_sign_of_depth_is_worded():
    series = {"A": HandEvidence(50, -4.0), "B": HandEvidence(50, 1.0)}
    both, a, b = depth_findings(series, HandEvidence(100, 3.5), {"A": True, "B": True}, 12.0)
    assert (both.severity, a.severity, b.severity) == (Severity.NOTE, Severity.ERROR, Severity.NOTE)
    assert "is as stated (+3.5 σ for the stated one, 100 particles, detail to 12.0 Å)" in both.finding
    assert "set AreAnglesInverted to False" in a.remedy
    assert "cannot be told" in b.finding


def test_findings_are_written_errors_first(tmp_path):
    listed = [Finding(severity, "", "x", severity.value, 'do "this", then that') for severity in reversed(Severity)]
    write_findings(tmp_path / "findings.csv", by_severity(listed))
    with open(tmp_path / "findings.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["severity"] for row in rows] == ["error", "warning", "note"]
    assert list(rows[0]) == ["severity", "series", "topic", "finding", "remedy"]
    assert rows[0]["remedy"] == 'do "this", then that'
