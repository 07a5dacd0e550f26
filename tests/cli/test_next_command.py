"""The command that goes on from a run, from what that run has written down."""

import shlex

import pytest
import yaml

from mlit.cli.composer import Composer
from mlit.cli.next_command import next_command, together
from mlit.cli.validation import validated_overrides
from mlit.project.recommend_advice import Advice

SPECIES = {"name": "ribosome", "diameter": 280.0, "symmetry": "C1"}
DATA = {
    "warp": {"settings": "P/warp_tiltseries.settings", "particles": "P/p.star", "processing": None, "series": "*"},
    "population": {"population": "P/x.population", "species": None, "particles": "P/p.star", "series": "*"},
    "relion": {"optimisation_set": "job/optimisation_set.star", "tomograms": None, "series": "*"},
}
TYPED = ["output=RUN1", "data.particles=P/p.star", "model=fine", "denoiser=wiener", "species.half_maps=[a.mrc,b.mrc]"]
VOLUME_WARP = {"volume_warp": {"enabled": True, "grid": [2, 2, 1, 8]}}
TRIAL = Advice("try volume_warp", "", change=VOLUME_WARP)
OFF = Advice("try without defocus", "", change={"defocus": {"enabled": False}})
AGAIN = Advice("the same again", "", words=("schedule=once",))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Folder of a run that has refined something."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "RUN1"
    (folder / ".hydra").mkdir(parents=True)
    (folder / "parameters").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(TYPED))
    return folder.relative_to(tmp_path)


def settings(kind="warp", candidates=()):
    return {"data": DATA[kind], "species": SPECIES, "model": {"candidates": list(candidates)}}


def words_of(command):
    first, verb, *words = shlex.split(command)
    assert first == "mlit"
    validated_overrides(Composer(verb), words, multirun=False)
    return verb, words


def test_it_goes_on_from_refined_poses_and_metadata_with_what_was_typed(run):
    verb, words = words_of(next_command(run, settings(), AGAIN))
    assert verb == "refine"
    assert set(words) == {
        "data.settings=P/warp_tiltseries.settings",
        "data.particles=RUN1/ribosome/particles.star",
        "data.processing=RUN1/warp_tiltseries",
        "species.diameter=280",
        "species.symmetry=C1",
        "model=fine",
        "denoiser=wiener",
        "schedule=once",
        "output=RUN2",
    }


def test_an_output_that_is_there_is_not_proposed(run):
    (run.parent / "RUN2").mkdir()
    assert "output=RUN3" in words_of(next_command(run, settings(), AGAIN))[1]
    run.rename("refined")
    assert "output=refined_2" in words_of(next_command(run.with_name("refined"), settings(), AGAIN))[1]
    run.with_name("refined").rename("refined_2")
    assert "output=refined_3" in words_of(next_command(run.with_name("refined_2"), settings(), AGAIN))[1]


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize(
    "advice",
    [AGAIN, TRIAL, Advice("", "", "inspect"), Advice("", "", "weights"), Advice("", "", "postprocess")],
    ids=lambda advice: advice.what or advice.verb,
)
def test_every_command_composes_for_every_kind_of_project(run, kind, advice):
    verb, _ = words_of(next_command(run, settings(kind), advice))
    assert verb == advice.verb


def test_a_project_of_relion_goes_on_from_the_set_of_the_run(run):
    _, words = words_of(next_command(run, settings("relion"), AGAIN))
    assert {"data=relion", "data.optimisation_set=RUN1/relion/optimisation_set.star"} <= set(words)
    assert not [word for word in words if word.startswith("data.particles")]


def test_a_run_that_has_refined_nothing_keeps_its_input(run):
    (run / "parameters").rmdir()
    for kind, word in (("warp", "data.particles=P/p.star"), ("population", "data.population=P/x.population")):
        assert word in words_of(next_command(run, settings(kind), AGAIN))[1]
    relion = words_of(next_command(run, settings("relion"), AGAIN))[1]
    assert "data.optimisation_set=job/optimisation_set.star" in relion


def test_a_trial_is_judged_by_the_run_itself(run):
    _, words = words_of(next_command(run, settings(), TRIAL))
    assert "model.candidates=[{volume_warp: {enabled: true, grid: [2, 2, 1, 8]}}]" in words
    assert {"schedule=quick", "model.compared_in_iteration=1"} <= set(words)


def test_all_trials_at_once(run):
    assert together([AGAIN, TRIAL]) is None
    both = together([AGAIN, TRIAL, OFF])
    assert both is not None
    _, words = words_of(next_command(run, settings(), both))
    assert any(word.count("enabled") == 2 for word in words)


def test_what_a_run_has_chosen_is_kept_and_not_compared_again(run):
    before = settings(candidates=[VOLUME_WARP])
    _, words = words_of(next_command(run, before, AGAIN, [VOLUME_WARP]))
    assert {"model.volume_warp.enabled=true", "model.volume_warp.grid=[2, 2, 1, 8]", "model.candidates=[]"} <= set(
        words
    )


def test_advice_to_look_has_no_command(run):
    assert next_command(run, settings(), Advice("look", "", "")) == ""


def test_further_species_go_on_from_their_own_poses(run):
    more = [
        {"name": "b", "particles": "P/b.star", "diameter": 160.0, "symmetry": "C2", "half_maps": None, "mask": None}
    ]
    two = settings() | {"more_species": more}
    words = words_of(next_command(run, two, AGAIN))[1]
    assert "more_species=[{name: b, particles: RUN1/b/particles.star, diameter: 160.0, symmetry: C2}]" in words
    assert "more_species" not in next_command(run, two, Advice("", "", "inspect"))
    population = settings("population") | {"more_species": [more[0] | {"species": "B"}]}
    population = population | {"data": population["data"] | {"species": "A"}}
    words = words_of(next_command(run, population, AGAIN))[1]
    assert "data.species=A" in words
    assert any(word.startswith("more_species=[{name: b, particles: RUN1/b/") for word in words)
    two = settings("relion") | {"more_species": more}
    assert "data.optimisation_set=RUN1/relion/ribosome/optimisation_set.star" in next_command(run, two, AGAIN)
    (run / "parameters").rmdir()
    assert "particles: P/b.star" in next_command(run, settings() | {"more_species": more}, AGAIN)
