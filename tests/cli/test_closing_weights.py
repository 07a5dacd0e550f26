"""What the last lines say of estimated weights."""

import csv
import json

from mlit.cli.closing_weights import weight_rows
from mlit.project.weights_table import COLUMNS


def test_rows_compare_maps_and_count_weak_tilts(tmp_path):
    gain = {"before": {"mean_fsc": 0.81}, "after": {"mean_fsc": 0.8234}, "to_angstrom": 9.876}
    (tmp_path / "summary.json").write_text(json.dumps({"weights": gain}))
    with open(tmp_path / "weights.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for series, own, tilts in (("NA", 1.1, (1.0, 0.49)), ("B", 0.9, (0.2, 0.5))):
            writer.writerow({"series": series, "kind": "series", "quality": own})
            writer.writerows({"series": series, "kind": "tilt", "quality": one} for one in tilts)
    rows = {label: values for label, *values in weight_rows(tmp_path)}
    assert rows == {
        "mean FSC to 9.88 Å": ["0.8100", "0.8234"],
        "signal of the series over what is expected": ["", "0.90 to 1.10"],
        "tilts with less than 0.5 of the signal expected": ["", "2 of 4"],
    }


def test_other_runs_have_no_such_rows(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    assert list(weight_rows(tmp_path)) == []
