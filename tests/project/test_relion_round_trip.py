import logging

import numpy as np
import pytest

from mlit.io.particles import write_particles
from mlit.project.project import Project
from mlit.project.relion_export import write_relion
from mlit.project.relion_files import find_files
from mlit.project.relion_project import load_relion_project
from mlit.project.warp_project import load_warp_project
from tests.project.relion_support import (
    IMAGE,
    differences,
    seen,
    shown_by_relion,
    write_bent_project,
    write_relion_project,
)

POSITION_ANGSTROM, ORIENTATION_DEG, DEFOCUS_NM = 0.05, 0.01, 1.0


def load(optimisation_set) -> Project:
    return load_relion_project(find_files(optimisation_set))


def check_alike(one, other):
    position, orientation, defocus = differences(one, other)
    assert position < POSITION_ANGSTROM
    assert orientation < ORIENTATION_DEG
    assert defocus < DEFOCUS_NM


@pytest.mark.parametrize("samples", [1, 3])
def test_warp_to_relion_and_back(tmp_path, samples):
    project = load_warp_project(*write_bent_project(tmp_path / "warp", samples=samples))
    losses = write_relion(tmp_path / "relion", project, project.particles, diameter_angstrom=100.0)
    again = load(tmp_path / "relion" / "optimisation_set.star")
    assert [series.name for series in again.series] == ["A", "B"]
    for before, after in zip(project.series, again.series, strict=True):
        assert 1 < losses[before.name].motion_angstrom < 8
        assert losses[before.name].orientation_deg < 1e-6
        shown = seen(project, before.name)
        check_alike(shown, shown_by_relion(tmp_path / "relion", before.name))
        check_alike(shown, seen(again, before.name))
        used = before.use_tilt
        assert after.use_tilt.all()
        np.testing.assert_allclose(after.weights.tilt_amplitude, before.weights.tilt_amplitude[used], atol=1e-5)
        np.testing.assert_allclose(
            after.weights.tilt_bfactor_angstrom2, before.weights.tilt_bfactor_angstrom2[used], atol=1e-4
        )
        for name in ("astigmatism_um", "phase_shift_rad"):
            np.testing.assert_allclose(getattr(after.optics, name), getattr(before.optics, name)[used], atol=1e-6)
        np.testing.assert_allclose(after.optics.zernike_odd_rad, before.optics.zernike_odd_rad)
        assert float(after.optics.zernike_odd_rad[2]) == 40


def test_without_trajectories_the_bends_are_lost(tmp_path):
    project = load_warp_project(*write_bent_project(tmp_path / "warp"))
    write_relion(tmp_path / "relion", project, project.particles)
    files = find_files(
        tomograms=tmp_path / "relion" / "tomograms.star", particles=tmp_path / "relion" / "particles.star"
    )
    rigid = load_relion_project(files)
    assert rigid.particles.samples == 1
    position, orientation, _ = differences(seen(project, "A"), seen(rigid, "A"))
    assert 1 < position < 8
    assert orientation < ORIENTATION_DEG


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(("kind", "stack"), [("linear", True), ("Fourier", False), ("spline", True)])
def test_relion_to_warp_and_back(tmp_path, kind, stack, odd, caplog):
    caplog.set_level(logging.INFO, "mlit")
    chosen = write_relion_project(tmp_path / "project", odd=odd, stack=stack, kind=kind)
    image = (IMAGE[0] + odd, IMAGE[1] + odd)
    project = load(chosen)
    assert "is now an image warp" in caplog.text
    assert ("has an odd size" in caplog.text) == odd
    order = project.relion.tilt_order["TS_01"]
    shown = shown_by_relion(chosen.parent, "TS_01", tmp_path / "project", image)
    shown = {key: value[:, order] for key, value in shown.items()}
    assert np.ptp(shown["xy"]) > 100
    check_alike(shown, seen(project, "TS_01"))
    write_relion(tmp_path / "relion", project, project.particles)
    written = shown_by_relion(tmp_path / "relion", "TS_01", image=image)
    check_alike(shown, {key: value[:, order] for key, value in written.items()})


def test_relion_to_warp_files(tmp_path):
    from dataclasses import replace

    from mlit.deformation.imaging import Imaging
    from mlit.io.particles import read_particles
    from mlit.io.warp.tilt_series_xml import TiltSeriesXml
    from mlit.project.results import write_series
    from mlit.project.xml_geometry import geometry_from_xml

    project = load(write_relion_project(tmp_path / "project"))
    series = project.series[0]
    write_series(tmp_path / "xml", series, Imaging(series.geometry, series.optics))
    write_particles(tmp_path / "particles.star", project.particles)
    xml = TiltSeriesXml.read(tmp_path / "xml" / "TS_01.xml")
    geometry = geometry_from_xml(xml, xml.volume_size_angstrom, xml.image_size_angstrom)
    again = replace(
        project,
        series=(replace(series, geometry=geometry),),
        particles=read_particles(tmp_path / "particles.star"),
    )
    assert xml.angle_deg.tolist() == sorted(xml.angle_deg)
    check_alike(seen(project, "TS_01"), seen(again, "TS_01"))
