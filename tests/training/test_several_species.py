"""Several species that share their tilt series: put together, they are what each is alone."""

import dataclasses

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from mlit.cli.more_species import with_more_species
from mlit.deformation.joint_poses import JointPoses
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.deformation.trajectories import make_poses
from mlit.errors import InputError
from mlit.fourier.slices import ReferenceTable
from mlit.geometry.rotations import matrix_from_euler
from mlit.io.mrc import read_mrc
from mlit.io.particles import read_particles
from mlit.io.star import read_star, write_star
from mlit.optim.solvers import GaussNewton
from mlit.project.shared_series import with_shared_series
from mlit.training.assembly import load_projects, make_module
from mlit.training.data import TiltSeriesDataset
from mlit.training.module import RefinementModule
from mlit.training.run import refine
from mlit.training.series_setup import Species, SpeciesInput, make_context, make_model
from mlit.training.series_step import Target
from mlit.training.series_step import fit as series_fit
from mlit.training.species_configs import species_configs

PRIOR = PosePrior(10.0, 5.0, 4.0, 1.0)


@pytest.fixture(scope="module")
def split(small_folder, tmp_path_factory):
    """Particle tables of two made-up species: all rows of the first series, and every other row of the second."""
    folder = tmp_path_factory.mktemp("split")
    blocks = read_star(small_folder / "particles.star")
    (name,) = (name for name, block in blocks.items() if len(block) > 8)
    table = blocks[name]
    series = table.columns[table.columns.str.contains("MicrographName|TomoName|SourceName")][0]
    second = table[series] == sorted(table[series].unique())[1]
    other = second & (np.arange(len(table)) % 4 < 2)
    for file, rows in (("a.star", ~other), ("b.star", other)):
        write_star(folder / file, {**blocks, name: table[rows].reset_index(drop=True)})
    return folder


def words(split, **keys):
    entry = {"name": "b", "particles": f"{split}/b.star", "diameter": 150.0, **keys}
    text = ", ".join(f"{key}: {value}" for key, value in entry.items())
    return f"data.particles={split}/a.star", f"more_species=[{{{text}}}]", "species.name=a"


def test_series_without_a_species_has_no_rows_of_it(split, config):
    cfg = with_more_species(config(*words(split)))
    first, second = load_projects(cfg)
    assert [series.name for series in first.series] == [series.name for series in second.series]
    counts = [[len(series.particle_index) for series in project.series] for project in (first, second)]
    assert counts[1][0] == 0
    assert all(0 < count < 8 for count in (counts[0][1], counts[1][1]))
    assert not first.failures
    assert not second.failures


def test_a_series_that_no_species_can_use_stays_out(small):
    alone = [dataclasses.replace(small, series=small.series[k : k + 1], failures={"C": f"why {k}"}) for k in (0, 1)]
    shared = with_shared_series(alone)
    assert [[s.name for s in project.series] for project in shared] == [[s.name for s in small.series]] * 2
    assert [dict(project.failures) for project in shared] == [{"C": "why 0"}] * 2
    assert [len(project.series[k].particle_index) for k, project in enumerate(shared)] == [8, 8]
    assert [len(project.series[1 - k].particle_index) for k, project in enumerate(shared)] == [0, 0]


def some_poses(count, samples, seed):
    generator = torch.Generator().manual_seed(seed)
    position = 100 * torch.rand(count, samples, 3, generator=generator, dtype=torch.float64)
    euler = torch.rand(count, samples, 3, generator=generator, dtype=torch.float64)
    time = torch.linspace(0, 1, 5, dtype=torch.float64)
    return make_poses(position, euler, time, PRIOR, samples)


@pytest.mark.parametrize("samples", [(1, 1), (1, 3), (3, 1), (2, 3)])
def test_joint_poses_are_those_of_each_species(samples):
    alone = [some_poses(count, n, seed) for seed, (count, n) in enumerate(zip((4, 3), samples, strict=True))]
    joint = JointPoses(
        [some_poses(count, n, seed) for seed, (count, n) in enumerate(zip((4, 3), samples, strict=True))]
    )
    generator = torch.Generator().manual_seed(7)
    raw = torch.randn(joint.raw.shape, generator=generator, dtype=torch.float64)
    turn = matrix_from_euler(torch.tensor([0.02, 0.03, -0.01], dtype=torch.float64))
    which, shift = torch.arange(7) % 2 == 0, torch.tensor([3.0, -2.0, 1.0])
    joint.follow(which, turn, shift)
    found = joint.at(raw)
    first = 0
    for species, poses in enumerate(alone):
        rows = slice(first, first + len(poses.raw))
        poses.follow(which[rows], turn, shift)
        own, values = joint.of_species(species, raw)
        assert torch.equal(values, raw[rows, : poses.raw.shape[1]])
        for result, expected in zip(found, poses.at(values), strict=True):
            together = result[rows]
            expected = expected if expected.dim() == together.dim() else expected[:, None].expand_as(together)
            torch.testing.assert_close(together, expected)
        for result, expected in zip(own.at_samples(values), poses.at_samples(values), strict=True):
            torch.testing.assert_close(result, expected)
        first = rows.stop
    assert sum(p.numel() for p in joint.parameters()) == joint.raw.numel()
    again = JointPoses([some_poses(count, n, 9) for count, n in zip((4, 3), samples, strict=True)])
    again.load_state_dict(joint.state_dict())
    if max(samples) == 1:
        torch.testing.assert_close(again.at(raw), found)


def test_species_may_have_their_own_number_of_samples(small):
    group = torch.zeros(small.particles.particles, dtype=torch.long)
    options = {"poses": {"position_prior_angstrom": 10.0, "rotation_prior_deg": 5.0, "temporal_samples": 1}}
    options["poses"] |= {"motion_prior_angstrom": 4.0, "motion_prior_deg": 1.0}
    kinds = [Species("a", 160.0, "C1"), Species("b", 120.0, "C1", temporal_samples=3)]
    inputs = [SpeciesInput(kind, small.series[0], small.particles, group) for kind in kinds]
    model, context = make_model(inputs, options), make_context(inputs)
    assert [part.samples for part in model.poses.parts] == [1, 3]
    assert isinstance(model.poses.parts[0], Poses)
    assert context.rows(1) == slice(8, 16)
    assert [members.border_angstrom for members in context.members] == [20.0, 15.0]
    assert model().xy_angstrom.shape[:2] == (16, small.series[0].geometry.tilts)


@pytest.mark.parametrize("number", [0, 1])
def test_parts_of_one_species_fit_as_the_whole_does(small_folder, small, split, config, number):
    """Told apart by name alone, with the same reference: the same poses and hyperparameters."""
    volume, pixel = read_mrc(small_folder / "truth" / "map.mrc")
    target = Target(ReferenceTable.from_maps(torch.from_numpy(volume)[None], pixel), len(volume) * pixel, 30.0)
    parts = load_projects(with_more_species(config(*words(split))))
    images = TiltSeriesDataset([small], 150.0, 0)[number].images
    whole, first = (fitted(projects, number, images, target, config()) for projects in ([small], parts))
    rows = np.concatenate([places(small, part, number) for part in parts])
    assert whole[0].abs().max() > 0.05
    torch.testing.assert_close(first[0], whole[0][rows], rtol=0, atol=1e-4)
    torch.testing.assert_close(first[1], whole[1], rtol=0, atol=1e-4)
    assert first[2] == pytest.approx(whole[2], rel=1e-5)


def fitted(projects, number, images, target, cfg):
    """Poses, hyperparameters and objective of a series after a fit."""
    model, context = prepared(projects, number, cfg)
    found = series_fit(model, images, context, [target] * len(projects), GaussNewton(4))
    return model.poses.raw.detach(), model.hyper.detach(), found.outcome.end


def prepared(projects, number, cfg):
    """Model and constants of a series."""
    kind = Species("x", 150.0, "C1")
    groups = [torch.zeros(project.particles.particles, dtype=torch.long) for project in projects]
    inputs = [SpeciesInput(kind, p.series[number], p.particles, g) for p, g in zip(projects, groups, strict=True)]
    options = OmegaConf.to_container(cfg.model, resolve=True)
    del options["candidates"], options["compared_in_iteration"]
    model = make_model(inputs, options)
    model.activate(["poses", "image_warp", "defocus"])
    return model, make_context(inputs)


def places(whole, part, number):
    """Where the particles of a part stand among those of a series of the whole."""
    position = whole.particles.position_angstrom[whole.series[number].particle_index.numpy(), 0]
    own = part.particles.position_angstrom[part.series[number].particle_index.numpy(), 0]
    return np.array([int(np.abs(position - p).sum(1).argmin()) for p in own], dtype=np.int64)


def test_a_species_without_a_target_stays_and_the_other_fits_as_alone(small_folder, small, split, config):
    volume, pixel = read_mrc(small_folder / "truth" / "map.mrc")
    target = Target(ReferenceTable.from_maps(torch.from_numpy(volume)[None], pixel), len(volume) * pixel, 30.0)
    projects = load_projects(with_more_species(config(*words(split))))
    images = TiltSeriesDataset([small], 150.0, 0)[1].images
    alone = fitted(projects[:1], 1, images, target, config())
    count = len(alone[0])
    model, context = prepared(projects, 1, config())
    found = series_fit(model, images, context, [target, None], GaussNewton(4))
    assert not model.poses.raw[count:].any()
    torch.testing.assert_close(model.poses.raw.detach()[:count], alone[0], rtol=0, atol=1e-4)
    assert float(found.credence.lit.min()) == 1.0
    assert bool((found.credence.particle[count:] == 0).all())


def test_results_of_every_species_are_written(split, config, tmp_path):
    cfg = with_more_species(config(*words(split, temporal_samples=2, diameter=140.0), "denoiser=wiener"))
    assert refine(cfg)
    output = tmp_path / "run"
    for name, file, samples in (("a", "a.star", 1), ("b", "b.star", 2)):
        table = read_particles(output / name / "particles.star")
        assert table.particles == read_particles(split / file).particles
        assert table.samples == samples
        for result in ("half1.mrc", "map.mrc", "mask.mrc", "fsc.star"):
            assert (output / name / result).is_file()
        assert (output / "relion" / name / "particles.star").is_file()
        assert (output / "fsc" / name / "iteration_0.star").is_file()
    header = (output / "metrics.csv").read_text().splitlines()[0].split(",")
    assert "b/fsc_0.143_angstrom" in header
    assert not refine(cfg)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: b, diameter: 100}", "entry 1 lacks particles"),
        ("{name: b, particles: x.star, diametr: 100}", "unknown key diametr; did you mean diameter?"),
        ("{name: b, particles: x.star, diameter: big}", "diameter=big must be a number"),
        ("b.star", "give keys as in"),
    ],
)
def test_wrong_entries_are_refused(config, entry, message):
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        with_more_species(config(f"more_species=[{entry}]"))


def test_names_must_differ(split, config):
    cfg = with_more_species(config(*words(split, name="a")))
    with pytest.raises(InputError, match="several species are called so"):
        species_configs(cfg)


def test_defaults_are_those_of_a_species(split, config):
    cfg = with_more_species(config(*words(split)))
    (entry,) = OmegaConf.to_container(cfg.more_species)
    assert entry["symmetry"] == "C1"
    assert entry["false_fraction"] == cfg.species.false_fraction


def test_a_series_is_fitted_where_it_shows_a_species_that_has_a_target(split, config, monkeypatch):
    cfg = with_more_species(config(*words(split)))
    module = make_module(load_projects(cfg), cfg)
    first, second = module.names  # the second species is in the second series alone
    for targets, expected in (
        ((None, None), (False, False)),
        (("a", None), (True, True)),
        ((None, "b"), (False, True)),
    ):
        monkeypatch.setattr(RefinementModule, "targets", list(targets))
        assert (module.can_fit(first), module.can_fit(second)) == expected
