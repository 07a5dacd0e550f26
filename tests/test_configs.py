"""Every shipped config composes, and every node that names a class can be instantiated."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mlit.cli.composer import Composed, Composer
from mlit.cli.config_folder import config_folder, group_options
from mlit.cli.kinds import KINDS_WITHOUT_DEFAULT, has_key, lookup, walk
from mlit.cli.registry import VERBS
from mlit.cli.validation import validated_overrides

GROUPS = sorted({str(file.parent.relative_to(config_folder())) for file in config_folder().glob("*/**/*.yaml")})
VALUES = {
    "output": "out",
    "data.settings": "in/warp_tiltseries.settings",
    "data.particles": "in/particles.star",
    "data.population": "in/x.population",
    "import.alignments": "in/alignments",
    "import.pixel_size_angstrom": "10",
    "action": "list",
    "species.diameter": "280",
    "denoise.half_maps": "[half1.mrc,half2.mrc]",
    "species.half_maps": "[half1.mrc,half2.mrc]",
}


def compose(verb: str, *overrides: str) -> Composed:
    composer = Composer(verb)
    with composer.ready():
        return composer.compose(overrides)


CHOICES = [
    (verb, f"{group}={option}")
    for verb in VERBS
    for group in compose(verb).choices
    for option in group_options([config_folder()], group)
]
VERB_OF_CHOICE = {choice: verb for verb, choice in CHOICES}


def nodes_with_a_class(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of the outermost nodes that have a ``_target_``."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            if "_target_" in value:
                yield f"{prefix}{name}"
            else:
                yield from nodes_with_a_class(value, f"{prefix}{name}.")


def test_every_verb_has_its_config_and_every_config_its_verb():
    assert {file.stem for file in config_folder().glob("*.yaml")} == set(VERBS)


def test_every_group_is_used_by_a_verb():
    used = {group for verb in VERBS for group in compose(verb).choices}
    assert {group for group in GROUPS if group.split("/")[0] != "hydra"} == used


@pytest.mark.parametrize(("verb", "choice"), CHOICES)
def test_every_option_composes_into_a_valid_config(verb, choice):
    needed = [f"{key}={VALUES[key]}" for key, value in walk(compose(verb, choice).values) if value == "???"]
    words = [choice, *needed]
    assert validated_overrides(Composer(verb), words, multirun=False) == words


@pytest.mark.parametrize("verb", VERBS)
def test_the_kind_of_every_value_is_known(verb):
    values = compose(verb).values
    classes = list(nodes_with_a_class(values))
    for key, value in walk(values):
        unset = value is None or value == "???"
        if unset and not any(key.startswith(f"{node}.") for node in classes):
            optional_group = key in compose(verb).choices
            assert optional_group or key in KINDS_WITHOUT_DEFAULT, f"{key} needs a line in KINDS_WITHOUT_DEFAULT"


@pytest.mark.parametrize("choice", VERB_OF_CHOICE)
def test_nodes_with_a_class_can_be_instantiated(choice, tmp_path, monkeypatch):
    if choice == "trainer=gpu" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    monkeypatch.chdir(tmp_path)
    values = compose(VERB_OF_CHOICE[choice], choice).values
    config = OmegaConf.create(values)
    for key, value in VALUES.items():
        if has_key(values, key):
            OmegaConf.update(config, key, value)
    group = choice.partition("=")[0]
    for node in nodes_with_a_class(values):
        if node.split(".")[0] == group:
            made = instantiate(OmegaConf.select(config, node))
            assert type(made).__name__ == lookup(values, node)["_target_"].rpartition(".")[2]
