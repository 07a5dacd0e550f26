"""What TensorBoard has after a run, against the tables of the run."""

import io
import logging

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlit.report import board
from mlit.report.board import board_final_maps
from mlit.training.run import refine

SCHEDULE = "schedule.iterations=[{resolution_angstrom: 30, blocks: [poses, image_warp, stage_angles]}]"


def events_of(run):
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    return events


def scalar(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.fixture
def run(config, tmp_path):
    """A run of one iteration, with TensorBoard."""
    refine(config("logger=tensorboard", "denoiser=none", SCHEDULE))
    return tmp_path / "run"


def test_scalars_are_those_of_the_tables_and_figures_are_there(run):
    events = events_of(run)
    metrics = pd.read_csv(run / "metrics.csv").query("iteration == 1")
    for series, row in metrics.set_index("series").iterrows():
        gain = row["log_posterior_end"] - row["log_posterior_start"]
        assert scalar(events, f"gain_nats/{series}") == [(1, pytest.approx(gain, rel=1e-4))]
        held_out = row["held_out_log_likelihood"] / row["images"]
        assert scalar(events, f"held_out_nats_per_image/{series}") == [(1, pytest.approx(held_out, rel=1e-4))]
    moved = np.sqrt(np.average(metrics["change_position_angstrom"] ** 2, weights=metrics["images"]))
    assert scalar(events, "change/images_position_angstrom") == [(1, pytest.approx(moved, rel=1e-4))]
    table = pd.concat([pd.read_csv(path) for path in (run / "parameters").glob("*.csv")])
    columns = {"since_start": "value", "change": "value", "standard_error": "standard_error"}
    for block, unit in (("image_warp", "angstrom"), ("stage_angles", "deg")):
        own = table[table["block"] == block]
        for quantity, column in (columns | {"prior_width": "prior_width"}).items():
            tag = f"{quantity}/{block}_{unit}"
            assert scalar(events, tag) == [(1, pytest.approx(rms(own[column]), rel=1e-4))], tag
    assert scalar(events, "prior_width/position_angstrom/particle") == [(1, pytest.approx(10, rel=1e-6))]
    assert set(events.Tags()["images"]) == {"fsc/particle", "map_sections/particle", "image_warp"}
    assert [event.step for event in events.Images("fsc/particle")] == [0, 1]
    assert [event.step for event in events.Images("image_warp")] == [1]
    for tag in events.Tags()["images"]:
        picture = imread(io.BytesIO(events.Images(tag)[-1].encoded_image_string))
        assert picture.std() > 0.05, tag
        assert picture.shape[1] > 400, tag


def test_final_maps_are_added_once_they_are_there(run):
    board_final_maps(run)
    events = events_of(run)
    (final,) = events.Images("map_sections_final/particle")
    one_map = events.Images("map_sections/particle")[-1]
    assert final.step == 1
    assert final.height > 1.8 * one_map.height  # raw and sharpened


def test_a_run_goes_on_without_pictures(config, tmp_path, caplog, monkeypatch):
    def broken(*_):
        raise OSError("no space left")

    monkeypatch.setattr(board, "fsc_figure", broken)
    with caplog.at_level(logging.WARNING):
        refine(config("logger=tensorboard", "denoiser=none", SCHEDULE))
    assert (tmp_path / "run" / "summary.json").is_file()
    assert "OSError: no space left" in caplog.text
