"""The tilt images of a planned series."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mlit.geometry.rotations import matrix_from_euler
from mlit.geometry.trajectory import evaluate_trajectory, normalised_dose
from mlit.parallel import cores
from mlit.simulation.config import SimulationConfig
from mlit.simulation.crowding import Crowd, CrowdView, fill_slab, make_crowd_shapes, view_crowd
from mlit.simulation.exposure import beam_profile, count_electrons, electrons_per_pixel
from mlit.simulation.image_formation import crowd_image, delocalisation_angstrom, particle_image
from mlit.simulation.placement import Poses
from mlit.simulation.scattering import interaction_constant
from mlit.simulation.series_plan import SeriesPlan
from mlit.simulation.splat import PatchGrid
from mlit.simulation.structure import Structure
from mlit.simulation.transfer import TiltTransfer, transfer_of_tilt

_CROWD_OVERLAP = 0.9


def tilt_images(
    config: SimulationConfig, plan: SeriesPlan, structures: Sequence[Structure]
) -> Iterator[Float[Tensor, "y x"]]:
    """Averages of all tilts in file order: electron counts, molecules dark.

    Tilts are made side by side in threads; the result does not depend on their number where the caller keeps
    single operations on one thread (see :mod:`mlit.parallel`).
    """
    camera = _Camera.prepare(config, plan, structures)
    with ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(camera.image, range(plan.geometry.true.tilts))


@dataclass(frozen=True, eq=False)
class _Camera:
    """All that the images of one series need."""

    config: SimulationConfig
    plan: SeriesPlan
    structures: Sequence[Structure]
    species: Int[Tensor, " particle"]
    xy_angstrom: Float[Tensor, "particle tilt 2"]
    defocus_um: Float[Tensor, "particle tilt"]
    rotation: Float[Tensor, "particle tilt 3 3"]
    tilt_cosine: Float[Tensor, " tilt"]
    crowd: "_CrowdRenderer"

    @classmethod
    def prepare(cls, config: SimulationConfig, plan: SeriesPlan, structures: Sequence[Structure]) -> "_Camera":
        """Place the molecules and the background in all tilts."""
        geometry = plan.geometry.true
        position, own = _courses([poses.molecules() for poses in plan.true_samples], geometry.dose)
        xy, defocus = geometry.project(position)
        rotation = geometry.orient(own, position)
        cosine = geometry.tilt_matrices()[:, 2, 2]
        crowd = _CrowdRenderer.make(config, plan, max(s.diameter_angstrom for s in structures))
        species = plan.species[~plan.true_poses.false_pick]
        return cls(config, plan, structures, species, xy, defocus, rotation, cosine, crowd)

    def image(self, tilt: int) -> Float[Tensor, "y x"]:
        """``N · beam · (1 − 2 σ c · s)``, or Poisson counts of that.

        N electrons get through the ice; σ is the interaction constant, c the contrast factor, s the projected
        potential after CTF and damage (weak-phase approximation).
        """
        microscope = self.config.microscope
        phase = 2 * interaction_constant(microscope.voltage_kv) * microscope.contrast
        defect = next((bad for bad in self.plan.bad_tilts if bad.tilt == tilt), None)
        beam = beam_profile(defect, microscope.height, microscope.width)
        electrons = electrons_per_pixel(self.config, float(self.tilt_cosine[tilt]))
        expected = electrons * beam * (1 - phase * self._signal(tilt))
        return count_electrons(expected, self.plan.seed + tilt) if microscope.noise else expected

    def _signal(self, tilt: int) -> Float[Tensor, "y x"]:
        """Projected potential of molecules and background in V Å, as the microscope transfers it."""
        microscope = self.config.microscope
        grid = PatchGrid(microscope.height, microscope.width, microscope.pixel_size_angstrom)
        middle = float(self.plan.geometry.true.dose[tilt]) + self.config.tilts.dose_per_tilt / 2
        magnification, strength = self.plan.geometry.true.magnification, self.plan.quality.of_tilt(tilt)
        transfer = transfer_of_tilt(self.plan.optics.true, tilt, middle, magnification, *strength)
        xy, defocus = self.xy_angstrom[:, tilt], self.defocus_um[:, tilt]
        own = self.plan.quality.at_places(xy / self.plan.geometry.true.image_size_angstrom)
        image = self.crowd.image(tilt, transfer, grid)
        for number, structure in enumerate(self.structures):
            some = self.species == number
            if not bool(some.any()):
                continue
            strength = None if own is None else own[some]
            rotation = self.rotation[some, tilt]
            image = particle_image(structure, rotation, xy[some], defocus[some], transfer, grid, strength) + image
        return image


def _courses(samples: list[Poses], dose: Float[Tensor, " tilt"]) -> tuple[Tensor, Tensor]:
    """Positions and rotations of molecules: one for all tilts, or one for each where they move."""
    if len(samples) == 1:
        return samples[0].position_angstrom, samples[0].rotation()
    time = normalised_dose(dose)
    position = torch.stack([poses.position_angstrom for poses in samples], 1)
    euler = torch.stack([poses.euler_rad for poses in samples], 1)
    return evaluate_trajectory(position, time), matrix_from_euler(evaluate_trajectory(euler, time))


class _CrowdRenderer:
    """Background of one series; an empty slab renders as nothing."""

    def __init__(self, views: list[CrowdView], shape: Structure | None, margin_angstrom: float) -> None:
        self._views = views
        self._shape = shape
        self._margin_angstrom = margin_angstrom

    @classmethod
    def make(cls, config: SimulationConfig, plan: SeriesPlan, diameter_angstrom: float) -> "_CrowdRenderer":
        """Fill the slab around the particles and find what every tilt sees of it."""
        if config.sample.crowding == 0:
            return cls([], None, 0.0)
        crowd = _fill(config, plan, diameter_angstrom)
        reach = delocalisation_angstrom(
            plan.optics.true, config.microscope.defocus_um[1] + 0.2, config.microscope.pixel_size_angstrom
        )
        margin = reach + config.sample.crowd_diameter_angstrom / 2
        return cls(view_crowd(crowd, plan.geometry.true, margin), crowd.shapes[0], margin)

    def image(self, tilt: int, transfer: TiltTransfer, image: PatchGrid) -> Float[Tensor, "y x"]:
        """V Å per pixel."""
        if self._shape is None:
            return torch.zeros(image.height, image.width)
        return crowd_image(self._views[tilt], self._shape, transfer, image, self._margin_angstrom)


def _fill(config: SimulationConfig, plan: SeriesPlan, diameter_angstrom: float) -> Crowd:
    """Slab wide enough to fill the field of view at the highest tilt."""
    rng = np.random.default_rng(plan.seed)
    geometry = plan.geometry.true
    widening = 1 / math.cos(float(geometry.tilt_angle_rad.abs().max()))
    side = float(geometry.image_size_angstrom.max()) * widening + config.sample.thickness_angstrom * 2
    molecules = plan.true_poses.molecules().position_angstrom
    diameter = config.sample.crowd_diameter_angstrom
    return fill_slab(
        make_crowd_shapes(diameter, rng),
        config.sample.crowding,
        np.array([side, side, max(config.sample.thickness_angstrom - diameter, 0.0)]),
        (geometry.volume_size_angstrom / 2).numpy(),
        molecules,
        _CROWD_OVERLAP * (diameter_angstrom + diameter) / 2,
        rng,
    )
