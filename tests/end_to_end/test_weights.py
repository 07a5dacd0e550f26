"""The verb ``weights`` on a project whose series and tilts differ in the strength of their signal."""

import csv
import json

import numpy as np
import pytest
import torch

from mlit.benchmark.weights_recovery import recovery
from mlit.geometry.tilt_grid import evaluate_tilt_grid
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.xml_weights import weights_from_xml

QUALITY = {
    "series": 3,
    "tilts": {"max_angle_deg": [48.0, 40.0], "missing": 1},
    "microscope": {"contrast": 1.0},
    "quality": {"series_amplitude": 0.5, "tilt_amplitude": 0.4, "tilt_bfactor_angstrom2": 300.0},
    "defects": {"bad_tilts": 1, "marked": True},
}


def at_truth(project):
    """Return the same project with its true poses and deformations."""
    words = (f"data.particles={project.root}/truth/particles.star", f"data.processing={project.root}/truth/warp")
    return type(project)(project.root, project.diameter, words)


@pytest.fixture(scope="module")
def uneven(make_project):
    """Three series with 12 or 10 tilts, of which one is marked as spoilt, at their true poses."""
    return at_truth(make_project(QUALITY))


@pytest.fixture(scope="module")
def weighed(uneven, refine):
    run = refine(uneven, verb="weights")
    assert run.outcome.code == 0, run.outcome.stderr
    return run


def truth(project):
    return json.loads((project.root / "truth/meta.json").read_text())["series"]


def table(run):
    with open(run.output / "weights.csv", newline="") as file:
        return list(csv.DictReader(file))


def xml_of(run, name):
    return TiltSeriesXml.read(run.output / "warp_tiltseries" / f"{name}.xml")


def test_quality_of_series_and_tilts_is_found_as_well_as_the_images_can_tell(uneven, weighed):
    found = recovery(uneven.root, weighed.output)
    assert min(found.tilts, found.tilts_at_best) > 0.9
    assert min(found.series, found.series_at_best) > 0.9
    assert 0.7 < found.tilt_error / found.tilt_error_bar < 1.4
    assert found.series_error < 0.15 * found.series_spread
    assert found.tilt_spread > 0.2


def test_tilts_that_are_not_used_weigh_nothing_and_stay_unused(uneven, weighed):
    for name, meta in truth(uneven).items():
        xml = xml_of(weighed, name)
        bad = [defect["tilt"] for defect in meta["bad_tilts"]]
        assert np.flatnonzero(~xml.use_tilt).tolist() == bad
        assert np.flatnonzero(xml.grid("GridDoseWeights")[:, 0, 0] == 0).tolist() == bad
        listed = {int(row["number"]) - 1 for row in table(weighed) if row["series"] == name and row["kind"] == "tilt"}
        assert listed == set(range(xml.tilts)) - set(bad)


def test_poses_and_the_rest_stay_as_they_were(uneven, weighed):
    assert weighed.inputs_before == weighed.inputs_after
    there = uneven.refined(weighed.output)
    assert there.position_rms_angstrom < 1e-3
    assert there.orientation_rms_deg < 1e-3


def test_summary_and_table_say_what_was_gained_and_how_well_it_is_known(weighed):
    gain = weighed.summary["weights"]
    assert gain["after"]["mean_fsc"] > gain["before"]["mean_fsc"]
    assert (weighed.output / "figures" / "weights.png").is_file()
    rows = table(weighed)
    assert max(float(row["amplitude"]) for row in rows if row["kind"] == "series") == 1
    assert all(0 < float(row["amplitude_error"]) < 0.5 for row in rows)
    assert "mean FSC to" in weighed.outcome.stdout


def test_a_run_from_the_written_files_has_these_weights(uneven, weighed, refine):
    words = (f"data.processing={weighed.output}/warp_tiltseries",)
    again = refine(type(uneven)(uneven.root, uneven.diameter, (uneven.words[0],)), *words, verb="reconstruct")
    assert again.outcome.code == 0, again.outcome.stderr
    one, other = (run.summary["species"]["particle"]["resolution_angstrom"] for run in (again, weighed))
    assert one == pytest.approx(other, rel=0.002)
    correlation = uneven.map_correlation(again.output / "particle" / "map.mrc")
    same = uneven.map_correlation(weighed.output / "particle" / "map.mrc")
    assert float((correlation - same)[1:-2].abs().max()) < 0.005


def test_reset_takes_the_weights_away(uneven, weighed, refine):
    words = (f"data.processing={weighed.output}/warp_tiltseries", "weights.reset=true")
    plain = refine(type(uneven)(uneven.root, uneven.diameter, (uneven.words[0],)), *words, verb="weights")
    assert plain.outcome.code == 0, plain.outcome.stderr
    for name in truth(uneven):
        assert weights_from_xml(xml_of(plain, name)).tilt_amplitude is None
        assert xml_of(plain, name).attribute_number("Weight", 0.0) == 1
    assert not (plain.output / "summary.json").exists()


@pytest.fixture(scope="module")
def turned(make_project):
    """Two series whose signal depends on the place in the image and, in each tilt, on direction."""
    quality = {"place_grid": [3, 2], "place_amplitude": 0.4, "tilt_anisotropy_angstrom2": 500.0}
    sample = {"particles": 30, "min_distance_angstrom": 130.0}
    project = make_project({"microscope": {"contrast": 1.0}, "sample": sample, "quality": quality})
    return at_truth(project)


def test_places_and_directions_are_found(turned, refine):
    """Places in the middle of the image, as there are few particles at its edge; directions before much damage."""
    run = refine(turned, "weights.grid=[3,2]", "weights.anisotropic=true", verb="weights")
    assert run.outcome.code == 0, run.outcome.stderr
    x, y = torch.meshgrid(torch.linspace(0.25, 0.75, 5), torch.linspace(0.25, 0.75, 3), indexing="xy")
    middle = torch.stack([x, y], -1).reshape(-1, 1, 2).double()
    found, true = [], []
    for name, meta in truth(turned).items():
        xml, quality = xml_of(run, name), meta["quality"]
        weights = weights_from_xml(xml)
        places = torch.tensor(quality["places"], dtype=torch.float64)[None]
        assert weights.places.shape == places.shape
        amplitudes = [evaluate_tilt_grid(one, middle)[:, 0, 0] for one in (weights.places, places)]
        assert float(torch.corrcoef(torch.stack(amplitudes))[0, 1]) > 0.9
        early = xml.dose < 20
        found.append(weights.anisotropy_angstrom2.numpy()[early])
        true.append(np.array(quality["anisotropy_angstrom2"])[early])
    assert np.corrcoef(np.concatenate(found).ravel(), np.concatenate(true).ravel())[0, 1] > 0.8
    assert len([row for row in table(run) if row["kind"] == "place" and row["series"] == "TS_01"]) == 6


def test_a_refinement_can_estimate_weights(uneven, refine):
    iterations = (
        "{resolution_angstrom: null, blocks: [poses], weights: true}, {resolution_angstrom: null, blocks: [poses]}"
    )
    project = type(uneven)(uneven.root, uneven.diameter)
    run = refine(project, f"schedule.iterations=[{iterations}]", "model=coarse")
    assert run.outcome.code == 0, run.outcome.stderr
    assert "poses, weights to" in run.outcome.stdout
    strongest = {row["series"]: float(row["amplitude"]) for row in table(run) if row["kind"] == "series"}
    true = {name: meta["quality"]["series_amplitude"] for name, meta in truth(uneven).items()}
    assert max(strongest, key=strongest.get) == max(true, key=true.get)
    assert weights_from_xml(xml_of(run, "TS_02")).tilt_amplitude is not None


@pytest.mark.parametrize("grid", ["[3]", "[1,4]"])
def test_impossible_grids_are_refused(uneven, mlit, tmp_path, grid):
    outcome = mlit(*uneven.command(tmp_path / "run", f"weights.grid={grid}", verb="weights"))
    assert "weights.grid" in outcome.refusal()
