"""Slopes of known power laws, and a small measurement from the command line."""

import json

import pytest

from mlit.benchmark.main import main
from mlit.benchmark.scaling import Size, SizeCost, scaling_as_json, scaling_table


def power_law(exponent: float) -> list[SizeCost]:
    """Costs of three sizes whose every stage grows in the same way."""
    sizes = [Size(10, 41), Size(40, 41), Size(160, 41)]
    costs = [size.images**exponent for size in sizes]
    return [SizeCost(size, 3, {"premultiply": cost}, cost, cost, cost) for size, cost in zip(sizes, costs, strict=True)]


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_slope_is_the_exponent(exponent):
    slopes = scaling_as_json(power_law(exponent))["slopes"]
    assert set(slopes) == {"premultiply", "growing", "wall", "memory"}
    assert all(slope == pytest.approx(exponent) for slope in slopes.values())


def test_table_has_a_line_for_each_size_and_both_slopes():
    lines = scaling_table(power_law(1.0)).splitlines()
    assert len(lines) == 2 + 3 + 2
    assert lines[-1].split()[-1] == "1.00"


@pytest.mark.slow
def test_measurement_of_two_small_sizes(tmp_path, capsys):
    output = tmp_path / "scaling.json"
    words = ["--sizes", "4x5,8x5", "--repeats", "1", "--width", "256", "--resolution", "40", "--output", str(output)]
    assert main(["scale", *words, "model=coarse"]) == 0
    assert "8x5" in capsys.readouterr().out
    written = json.loads(output.read_text())
    first, second = written["rows"][0]["sizes"]
    assert (first["size"], second["size"]) == ({"particles": 4, "tilts": 5}, {"particles": 8, "tilts": 5})
    for cost in (first, second):
        assert min(cost["stage_seconds"].values()) > 0
        assert 0 < cost["growing_seconds"] < sum(cost["stage_seconds"].values())
        assert 0 < cost["memory_mib"] < 2000
    assert written["machine"]["cores_used"] >= 1


def test_wrong_words_are_one_line(capsys):
    assert main(["solver", "data.settings=none", "model=nonsense"]) == 2
    assert capsys.readouterr().err.startswith("benchmark: ")
