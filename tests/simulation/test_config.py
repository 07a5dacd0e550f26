from dataclasses import asdict

import pytest

from mlit.cli.composer import Composer
from mlit.errors import InputError
from mlit.simulation.config import SimulationConfig
from mlit.simulation.config_mapping import config_from_mapping


def composed(preset):
    composer = Composer("simulate")
    with composer.ready():
        return config_from_mapping(composer.compose([f"simulation={preset}"]).values["simulation"])


def test_shipped_defaults_are_those_of_the_dataclasses():
    assert composed("default") == SimulationConfig()


def test_presets_differ_as_they_say():
    noise, ideal = composed("noise_only"), composed("ideal")
    assert noise.microscope.contrast == 0
    assert noise.sample.crowding == 0
    assert noise.microscope.noise
    errors = [value for name, value in asdict(ideal.deformation).items() if "error" in name]
    errors += [v for name, v in asdict(ideal.aberrations).items() if "error" in name and "resolution" not in name]
    assert errors
    assert not any(errors)
    assert not ideal.microscope.noise
    assert ideal.picks.position_error_angstrom == ideal.picks.rotation_error_deg == 0
    assert composed("demo").series == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sead": 1}, "simulation.sead is unknown"),
        ({"tilts": {"stepdeg": 3}}, "simulation.tilts.stepdeg is unknown"),
        ({"tilts": 3}, "simulation.tilts must be a section"),
        ({"series": 2.5}, "simulation.series must be of type int"),
        ({"series": True}, "simulation.series must be of type int"),
        ({"series": 0}, "simulation.series must be at least 1"),
        ({"prefix": "a/b"}, "simulation.prefix"),
        ({"microscope": {"noise": "yes"}}, "simulation.microscope.noise must be of type bool"),
        ({"microscope": {"width": 65}}, "simulation.microscope.width must be an even number"),
        ({"microscope": {"defocus_um": [3.0, 2.0]}}, "simulation.microscope.defocus_um"),
        ({"microscope": {"amplitude_contrast": 1.0}}, "simulation.microscope.amplitude_contrast"),
        ({"tilts": {"step_deg": []}}, "simulation.tilts.step_deg"),
        ({"tilts": {"max_angle_deg": [95.0]}}, "simulation.tilts.max_angle_deg"),
        ({"tilts": {"missing": 100}}, "simulation.tilts.missing"),
        ({"sample": {"crowding": 0.9}}, "simulation.sample.crowding"),
        ({"deformation": {"image_warp": [4]}}, "simulation.deformation.image_warp must be 2 counts"),
        ({"deformation": {"image_warp": 4}}, "simulation.deformation.image_warp must be a list"),
        ({"deformation": {"shift_error_angstrom": -1}}, "simulation.deformation.shift_error_angstrom"),
        ({"structure": {"fill": 0}}, "simulation.structure.fill"),
        ({"aberrations": {"cs_error_mm": -1}}, "simulation.aberrations.cs_error_mm"),
        ({"aberrations": {"odd_orders": [2]}}, "simulation.aberrations.odd_orders must be some of"),
        ({"aberrations": {"error_resolution_angstrom": 0}}, "simulation.aberrations.error_resolution_angstrom"),
        ({"picks": {"false_fraction": -0.1}}, "simulation.picks.false_fraction"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(InputError) as caught:
        config_from_mapping(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
