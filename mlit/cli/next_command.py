"""The command that goes on from a run."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mlit.project.any_project import data_kind
from mlit.project.recommend_advice import Advice, Change

_REPLACED = (
    "output",
    "schedule",
    "schedule.iterations",
    "data",
    "data.species",
    "data.particles",
    "data.processing",
    "data.optimisation_set",
    "data.tomograms",
    "data.trajectories",
    "data.folder",
    "species.half_maps",
    "more_species",
    "model.candidates",
    "model.compared_in_iteration",
    "model.defocus.search_um",
)
_INPUT = ("data", "species")
TRIAL = ("schedule=quick", "model.compared_in_iteration=1")


def typed_words(run: Path) -> list[str]:
    """Return what a person typed to start a run, but for what the next one replaces."""
    path = run / ".hydra" / "overrides.yaml"
    words = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [
        word for word in words if _key(word) not in _REPLACED and not _key(word).startswith(("simulation", "hydra"))
    ]


def next_command(run: Path, settings: Mapping[str, Any], advice: Advice, chosen: Sequence[Change] = ()) -> str:
    """Return the command line that follows a piece of advice; empty where a person has to look.

    Parameters
    ----------
    run
        Folder of the run, as a person wrote it.
    settings
        Its settings, as it has written them down.
    advice
        What to do.
    chosen
        Changes of the model that the run has made itself.
    """
    if not advice.verb:
        return ""
    if advice.verb == "postprocess":
        return _line(advice.verb, [*_postprocess_words(run, settings), f"output={run.with_name(f'{run.name}_maps')}"])
    own = [*advice.words, *_trial_words([advice.change] if advice.change else [], settings)]
    changes = [word for change in chosen for word in change_words(change)]
    words = _merged([*_input_words(run, settings), *typed_words(run), *changes], own)
    if advice.verb == "inspect":
        words = [word for word in words if _key(word).split(".")[0] in _INPUT]
        return _line(advice.verb, [word for word in words if not _key(word).startswith("species.half_maps")])
    if advice.verb == "weights":
        words = [word for word in words if _key(word).split(".")[0] in (*_INPUT, "more_species", "experiment")]
    return _line(advice.verb, [*words, f"output={_next_folder(run)}"])


def together(advice: Iterable[Advice]) -> Advice | None:
    """One run that judges all changes of the model; None for fewer than two."""
    changes = [one.change for one in advice if one.change]
    if len(changes) < 2:
        return None
    words = (*TRIAL, f"model.candidates={_hydra_text([dict(change) for change in changes])}")
    return Advice(f"try these {len(changes)} at once", "", words=words)


def change_words(change: Change) -> list[str]:
    """Return the words that make a change of the model."""
    return [
        f"model.{block}.{key}={_hydra_text(value)}" for block, values in change.items() for key, value in values.items()
    ]


def _trial_words(changes: Sequence[Change], settings: Mapping[str, Any]) -> list[str]:
    """Words of a run that judges changes itself; without any, of one that does not repeat an old comparison."""
    if changes:
        return [*TRIAL, f"model.candidates={_hydra_text([dict(change) for change in changes])}"]
    return ["model.candidates=[]"] if settings["model"].get("candidates") else []


def _input_words(run: Path, settings: Mapping[str, Any]) -> list[str]:
    """Words for the poses and metadata that a run has ended with."""
    data, species = settings["data"], settings["species"]
    if not (run / "parameters").is_dir():
        return _same_input(settings)
    more = _more_species(settings, run)
    refined = [
        f"data.particles={run / species['name'] / 'particles.star'}",
        f"data.processing={run / 'warp_tiltseries'}",
    ]
    kind = data_kind(data)
    if kind == "relion":
        folder = run / "relion" / species["name"] if more else run / "relion"
        words = ["data=relion", f"data.optimisation_set={folder / 'optimisation_set.star'}", *_diameter(species)]
    elif kind == "population":
        words = ["data=population", f"data.population={data['population']}", *refined, "species.half_maps=[]"]
        words += [f"data.species={data['species']}"] if data.get("species") else []
    else:
        words = [f"data.settings={data['settings']}", *refined, *_diameter(species)]
    return [*words, *more]


def _more_species(settings: Mapping[str, Any], run: Path | None = None) -> list[str]:
    """Word for further species, with the poses that a run has ended with, or with those of the input."""
    entries = []
    for one in settings.get("more_species") or ():
        given = {key: value for key, value in one.items() if value is not None and key != "half_maps"}
        refined = {} if run is None else {"particles": str(run / one["name"] / "particles.star")}
        entries.append(given | refined)
    return [f"more_species={_hydra_text(entries)}"] if entries else []


def _same_input(settings: Mapping[str, Any]) -> list[str]:
    """Words for the input of a run that has refined nothing."""
    data = {key: value for key, value in settings["data"].items() if isinstance(value, str) and key != "series"}
    kind = data_kind(settings["data"])
    words = [f"data={kind}"] if kind != "warp" else []
    words += [f"data.{key}={value}" for key, value in data.items()]
    return [*words, *_diameter(settings["species"]), *_more_species(settings)]


def _diameter(species: Mapping[str, Any]) -> list[str]:
    return [f"species.diameter={species['diameter']:g}", f"species.symmetry={species['symmetry']}"]


def _postprocess_words(run: Path, settings: Mapping[str, Any]) -> list[str]:
    species = settings["species"]
    folder = run / species["name"]
    return [f"species.half_maps=[{folder / 'half1.mrc'},{folder / 'half2.mrc'}]", *_diameter(species)]


def _merged(words: Iterable[str], own: Sequence[str]) -> list[str]:
    """Put words together, each key once; later ones win."""
    found: dict[str, str] = {}
    for word in (*words, *own):
        found[_key(word)] = word
    return list(found.values())


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _hydra_text(value: Any) -> str:
    """Write a value as Hydra reads it: JSON without quotes around names."""
    return re.sub(r'"([^"]*)"', r"\1", json.dumps(value))


def _next_folder(run: Path) -> Path:
    """RUN1 → RUN2, RUN → RUN_2; the first that is not there."""
    stem, number = re.fullmatch(r"(.*?)_?(\d*)", run.name).groups()  # pyright: ignore[reportOptionalMemberAccess]
    glue = "" if number and not run.name.endswith(f"_{number}") else "_"
    following = int(number or 1) + 1
    while (folder := run.with_name(f"{stem}{glue}{following}")).exists():
        following += 1
    return folder


def _line(verb: str, words: Sequence[str]) -> str:
    return shlex.join(["mlit", verb, *words])
