"""Several species of a population, named in one run."""

import shutil

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from mlit.cli.composer import Composer
from mlit.cli.more_species import with_more_species
from mlit.io.mrc import write_mrc
from mlit.io.particles import read_particles, write_particles
from mlit.io.star import write_star
from mlit.project.population_results import SpeciesResult, write_population_results
from mlit.project.population_tree import read_population_tree
from mlit.training.population_data import with_species
from mlit.training.species_configs import species_configs
from tests.m_files import SPECIES_GUID, write_population_files

OTHER = "77777777-0000-4000-8000-000000000007"


@pytest.fixture
def population(tmp_path):
    """A population with two species, the second a copy of the first under another name."""
    path = write_population_files(tmp_path / "project", ["A", "B"])
    table = read_population_tree(path).species[0].file("particles")
    columns = {f"wrpCoordinate{axis}1": ["16", "18"] for axis in "XYZ"}
    columns |= {f"wrpAngle{angle}1": ["10", "20"] for angle in ("Rot", "Tilt", "Psi")}
    columns |= {"wrpRandomSubset": ["1", "2"], "wrpSourceName": ["A.tomostar", "B.tomostar"]}
    write_star(table, {"": pd.DataFrame(columns, dtype=object)})
    first = table.parent
    second = first.parent / "other_77777777"
    shutil.copytree(first, second)
    (second / "ribo some.species").rename(second / "other.species")
    for file in second.glob("ribo some_*"):
        file.rename(second / file.name.replace("ribo some", "other"))
    text = (second / "other.species").read_text(encoding="utf-8")
    (second / "other.species").write_text(text.replace(SPECIES_GUID, OTHER).replace("ribo some", "other"))
    entry = f'\t\t<Species GUID="{OTHER}" Path="species/other_77777777/other.species" />\n\t</Species>'
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace("\t</Species>", entry, 1), encoding="utf-8")
    return path


def config(population, *words):
    composer = Composer("refine")
    with composer.ready():
        values = composer.compose(["data=population", f"data.population={population}", "output=RUN", *words]).values
    return OmegaConf.create(values)


def test_several_species_are_taken_from_the_population(population):
    cfg = with_more_species(with_species(config(population, f"data.species=[ribo some,{OTHER[:8]}]")))
    first, second = species_configs(cfg)
    assert [one.species.name for one in (first, second)] == ["ribo_some", "other"]
    assert [one.data.species for one in (first, second)] == ["ribo some", OTHER[:8]]
    assert second.species.diameter == 40
    assert second.species.symmetry == "D2"
    assert second.species.false_fraction == first.species.false_fraction
    assert second.data.particles.endswith("other_particles.star")


def test_one_species_stays_alone(population):
    cfg = with_species(config(population, "data.species=other"))
    assert [one.species.name for one in species_configs(cfg)] == ["other"]


def test_results_of_all_refined_species_reach_m(population, tmp_path):
    tree, run = read_population_tree(population), tmp_path / "RUN"
    results = {}
    for species, resolution in zip(tree.species, (7.0, 9.0), strict=True):
        folder = run / species.name
        write_particles(folder / "particles.star", read_particles(species.file("particles")))
        for name in ("half1", "half2"):
            write_mrc(folder / f"{name}.mrc", np.full((8, 8, 8), resolution, np.float32), 4.0)
        results[species.guid] = SpeciesResult(folder, resolution)
    written = read_population_tree(write_population_results(run, tree, results))
    assert [species.resolution_angstrom for species in written.species] == [7.0, 9.0]
    for species in written.species:
        assert species.path.resolve().is_relative_to(run / "m" / "species")
