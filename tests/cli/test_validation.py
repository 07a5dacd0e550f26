from pathlib import Path

import pytest

from mlit.cli.composer import Composer
from mlit.cli.validation import validated_overrides
from mlit.errors import InputError

COMPLETE = ["data.settings=in/a.settings", "data.particles=in/p.star", "species.diameter=280", "output=out"]


def check(*words: str, verb: str = "refine", multirun: bool = False, config_dir: Path | None = None) -> list[str]:
    return validated_overrides(Composer(verb, config_dir), [*COMPLETE, *words], multirun)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("species.diametr=3", r"species\.diametr'; did you mean species\.diameter\?"),
        ("diameter=3", r"'diameter'; did you mean species\.diameter\?"),
        ("modle=fine", r"'modle'; did you mean model\?"),
        ("model=fin", r"coarse, fine, standard; did you mean fine\?"),
        ("model=[fine,coarse]", r"coarse, fine, standard"),
        ("simulation=demo", r"no key 'simulation'"),
        ("+species.diametr=3", r"did you mean species\.diameter\?"),
        ("++speces.name=a", r"did you mean species\.name\?"),
        ("+model.image_wrap.grid=[3,3]", r"did you mean model\.image_warp\.grid\?"),
        ("species.name.first=3", r"no key 'species\.name\.first'"),
        ("species={diametr: 3}", r"diametr"),
        (
            "schedule.iterations=[{resoltion_angstrom: 3}]",
            r"'resoltion_angstrom'; did you mean resolution_angstrom",
        ),
        ("schedule.iterations=[3]", r"schedule\.iterations: each entry"),
        ("~seed", r"cannot be removed"),
        ("experiment=null", r"experiment takes one of .*smoke"),
        ("~model", r"model takes one of"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(word, message):
    with pytest.raises(InputError, match=message):
        check(word)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("species.diameter=abc", "a number"),
        ("species.diameter=[3]", "a number"),
        ("species.diameter=true", "a number"),
        ("seed=1.5", "a whole number"),
        ("seed=null", "a whole number"),
        ("model.defocus.enabled=1", "true or false"),
        ("model.image_warp.grid=3", r"a list in \[brackets\]"),
        ("model.image_warp.grid=[3,a]", "a whole number"),
        ("model.image_warp=3", "a group of keys"),
        ("model.poses.rotation_prior_deg=wide", r"a number, or several in \[brackets\]"),
        ("model.poses.position_prior_angstrom=[1,2,a]", r"a number, or several in \[brackets\]"),
        ("species.name=[a,b]", "text"),
        ("data.series=[TS_01,[a]]", r"text, or several in \[brackets\]"),
        ("data.processing=[a]", "text"),
        ("species.half_maps=a.mrc", r"a list in \[brackets\]"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(word, kind):
    key = word.partition("=")[0].replace(".", r"\.")
    with pytest.raises(InputError, match=rf"{key}.*{kind}"):
        check(word)


@pytest.mark.parametrize(
    "word",
    [
        "species.diameter=280.5",
        "species.half_maps=[a.mrc,b.mrc]",
        "species.mask=null",
        "model=fine",
        "model.image_warp.warp_prior_angstrom=3",
        "model.poses.position_prior_angstrom=8",
        "model.poses.rotation_prior_deg=[1,1,20.5]",
        "experiment=smoke",
        "schedule.iterations=[{resolution_angstrom: 20, blocks: [particles]}]",
        "schedule.iterations=[{resolution_angstrom: null, blocks: []}]",
        "trainer.devices=auto",
        "+trainer.precision=64",
        "hydra.verbose=true",
        "data.exclude=[TS_01,TS_02]",
        "data.series=[TS_01,TS_1*]",
        "data.processing=earlier/warp_tiltseries",
        "experiment=empiar_10164_5_motion",
        "species.name=${data.series}",
    ],
)
def test_valid_words_pass_as_they_are(word):
    assert check(word) == [*COMPLETE, word]


def test_short_form_of_a_grid():
    assert check("model.image_warp=[6,4]")[-1] == "model.image_warp.grid=[6,4]"
    with pytest.raises(InputError, match=r"model\.image_warp\.grid"):
        check("model.image_warp=[6,a]")


@pytest.mark.parametrize("name", ["2024", "1_000", "1e3", "true"])
def test_text_that_looks_like_a_number_stays_text(name):
    assert check(f"species.name={name}")[-1] == f"species.name='{name}'"
    assert check(f"data.series={name}")[-1] == f"data.series='{name}'"


def test_all_missing_values_are_named_at_once():
    with pytest.raises(InputError, match=r"output=…, species\.diameter=…, data\.settings=…, data\.particles=…"):
        validated_overrides(Composer("refine"), [], multirun=False)
    assert validated_overrides(Composer("refine"), [], multirun=False, complete=False) == []


def test_unreadable_word():
    with pytest.raises(InputError, match=r"cannot read 'species\.diameter': give key=value"):
        check("species.diameter")
    with pytest.raises(InputError, match="cannot read"):
        check("data.exclude=[a")


def test_results_inside_the_input_project_are_refused():
    for output in ("in", "in/run", "out/../in/run"):
        with pytest.raises(InputError, match="inside the input project"):
            check(f"output={output}")
    assert check("output=in_run")


def test_output_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(InputError, match=f"output={output}: .*file is not a folder"):
            check(f"output={output}")
        with pytest.raises(InputError, match="is not a folder"):
            validated_overrides(Composer("simulate"), [f"output={output}"], multirun=False)
    assert check(f"output={tmp_path}/new/deeper")


def test_broken_interpolation_is_wrong_input():
    with pytest.raises(InputError, match="nowhere"):
        check("output=${nowhere}")


def test_sweeps_need_multirun_and_every_value_is_checked():
    with pytest.raises(InputError, match="need -m"):
        check("model=coarse,fine")
    assert check("model=coarse,fine", "model.image_warp=[2,2],[3,3]", multirun=True)[-2:] == [
        "model=coarse,fine",
        "model.image_warp.grid=[2,2],[3,3]",
    ]
    with pytest.raises(InputError, match="did you mean coarse"):
        check("model=fine,coarze", multirun=True)
    with pytest.raises(InputError, match=r"seed.*a whole number"):
        check("seed=1,2,x", multirun=True)
    assert check("seed=range(1,4)", multirun=True)[-1] == "seed=range(1,4)"


def test_own_config_folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "experiment").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("defaults: [standard]\nimage_warp: {grid: [5, 5]}\n")
    (tmp_path / "experiment" / "good.yaml").write_text("# @package _global_\nspecies: {name: ribosome}\n")
    (tmp_path / "experiment" / "bad.yaml").write_text("# @package _global_\nspecies: {nme: ribosome}\n")
    (tmp_path / "experiment" / "wrong.yaml").write_text("# @package _global_\nseed: many\n")
    assert check("model=mine", "experiment=good", config_dir=tmp_path)
    with pytest.raises(InputError, match=r"experiment=bad: .*species\.nme.*did you mean species\.name"):
        check("experiment=bad", config_dir=tmp_path)
    with pytest.raises(InputError, match=r"experiment=wrong: seed=many: seed takes a whole number"):
        check("experiment=wrong", config_dir=tmp_path)
    with pytest.raises(InputError, match="did you mean mine"):
        check("model=min", config_dir=tmp_path)
