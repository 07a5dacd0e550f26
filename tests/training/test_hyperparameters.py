"""Settings and scores for TensorBoard's table."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from mlit.training.hyperparameters import flattened
from mlit.training.run import refine


def test_nested_settings_become_plain_values():
    settings = {"model": {"image_warp": {"grid": [4, 4], "enabled": True}}, "folds": None, "seed": 1, "name": "a"}
    assert dict(flattened(settings)) == {
        "model.image_warp.grid": "[4, 4]",
        "model.image_warp.enabled": True,
        "folds": "null",
        "seed": 1,
        "name": "a",
    }


def test_a_run_leaves_its_settings_with_its_scores(config, tmp_path):
    refine(config("logger=tensorboard", "schedule.iterations=[{resolution_angstrom: 30, blocks: [poses]}]"))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = metadata.parse_session_start_info_plugin_data(content).hparams
    assert settings["model.image_warp.grid"].string_value == "[2, 2]"
    assert settings["seed"].number_value == 1
    experiment = events.SummaryMetadata("_hparams_/experiment").plugin_data.content
    names = {one.name.tag for one in metadata.parse_experiment_plugin_data(experiment).metric_infos}
    assert names == {"score/fsc_0.143_angstrom", "score/held_out_log_likelihood"}
    with open(tmp_path / "run" / "metrics.csv", encoding="utf-8") as file:
        last = file.read().splitlines()[-1].split(",")
    (score,) = events.Scalars("score/fsc_0.143_angstrom")
    assert score.value == pytest.approx(float(last[-2]), rel=1e-5)
