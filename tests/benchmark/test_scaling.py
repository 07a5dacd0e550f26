"""Slopes of known power laws, and a small measurement from the command line."""

import json
from dataclasses import replace

import pytest

from mlit.benchmark.main import _size, main
from mlit.benchmark.scaling import Size, SizeCost, overhead, scaling_as_json, scaling_table

SIZES = (Size(10, 41), Size(40, 41), Size(160, 41))


def power_law(exponent: float, sizes=SIZES, boxes=(64, 64, 64)) -> list[SizeCost]:
    """Costs of sizes whose every stage grows in the same way, with the images or with the pixels of the box."""
    costs = []
    for size, box in zip(sizes, boxes, strict=True):
        images = size.particles * size.tilts * size.series
        cost = float(images if len(set(boxes)) == 1 else box**2) ** exponent
        costs.append(SizeCost(size, images, box, 3, {"premultiply": cost}, cost, cost, cost))
    return costs


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("boxes", [(64, 64, 64), (64, 96, 128)])
def test_slope_is_the_exponent(exponent, boxes):
    found = scaling_as_json(power_law(exponent, boxes=boxes))
    assert found["against"] == ("images" if len(set(boxes)) == 1 else "box²")
    assert set(found["slopes"]) == {"premultiply", "growing", "wall", "memory"}
    assert all(slope == pytest.approx(exponent) for slope in found["slopes"].values())


def test_spread_is_that_of_the_cost_of_an_image():
    assert scaling_as_json(power_law(1.0))["spread"] == pytest.approx(0.0)
    assert scaling_as_json(power_law(1.5))["spread"] == pytest.approx(16**0.5 - 1)


def test_constant_of_a_series_is_told_from_the_part_of_each_image():
    sizes = (Size(10, 41), Size(40, 41), Size(40, 41, 3))
    seconds = [size.series * (0.5 + 0.002 * size.particles * size.tilts) for size in sizes]
    made = [replace(one, growing_seconds=s) for one, s in zip(power_law(1.0, sizes), seconds, strict=True)]
    assert overhead(made) == pytest.approx((0.5, 0.002))


def test_table_has_a_line_for_each_size_both_slopes_and_a_conclusion():
    lines = scaling_table(power_law(1.0)).splitlines()
    assert len(lines) == 2 + 3 + 2 + 1
    assert lines[-2].split()[-1] == "1.00"
    assert "within 0 % over a 16× range" in lines[-1]


@pytest.mark.parametrize("text", ["36x41", "36x41x2", "36x41x2@300", "36x41@187.5"])
def test_sizes_are_written_as_they_are_typed(text):
    assert str(_size(text)) == text


@pytest.mark.slow
def test_measurement_of_two_small_sizes(tmp_path, capsys):
    output = tmp_path / "scaling.json"
    words = [
        "--sizes",
        "4x5,4x5x2@180",
        "--repeats",
        "1",
        "--width",
        "256",
        "--resolution",
        "40",
        "--output",
        str(output),
    ]
    assert main(["scale", *words, "model=coarse"]) == 0
    assert "4x5x2@180" in capsys.readouterr().out
    written = json.loads(output.read_text())
    first, second = written["rows"]["0"]["sizes"]
    assert first["size"] == {"particles": 4, "tilts": 5, "series": 1, "diameter_angstrom": None}
    assert second["size"] == {"particles": 4, "tilts": 5, "series": 2, "diameter_angstrom": 180.0}
    assert first["images"] <= 4 * 5 < second["images"] <= 2 * 4 * 5
    assert second["box"] < first["box"]
    for cost in (first, second):
        assert min(cost["stage_seconds"].values()) > 0
        assert 0 < cost["growing_seconds"] < sum(cost["stage_seconds"].values())
        assert 0 < cost["memory_mib"] < 2000
    assert written["machine"]["cores_used"] >= 1


def test_wrong_words_are_one_line(capsys):
    assert main(["solver", "data.settings=none", "model=nonsense"]) == 2
    assert capsys.readouterr().err.startswith("benchmark: ")
