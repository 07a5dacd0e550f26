"""The verbs of the command line: one module with ``run(cfg)`` and one config each."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from keyword import iskeyword
from typing import Any

from mlit.cli.suggest import did_you_mean
from mlit.errors import InputError


@dataclass(frozen=True)
class Verb:
    """A command.

    Attributes
    ----------
    name
        What a person types; the config is ``conf/NAME.yaml``, the code ``mlit/cli/NAME.py``, with an underscore behind
        where the name is a word of Python.
    summary
        One line for the list of commands.
    example
        Overrides of a typical call, as a shell takes them.
    more_examples
        Those of others that the help shows.
    resumes
        Whether the same command goes on where an interrupted one stopped (else it starts again).
    """

    name: str
    summary: str
    example: str = ""
    more_examples: tuple[str, ...] = ()
    resumes: bool = False

    def load(self) -> Callable[[Any], None]:
        """Import the verb's module, only now as it may take seconds, and return its ``run(cfg)``."""
        with kept_for_good():
            return import_module(f"mlit.cli.{self.name}{'_' * iskeyword(self.name)}").run


@contextmanager
def kept_for_good() -> Iterator[None]:
    """Exempt from garbage collection what is made inside the block.

    Libraries bring a million objects that live as long as the process. To look through them again and again while
    they are imported, during the run and at its end takes two seconds.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


_PROJECT = "data.settings=PROJECT/warp_tiltseries.settings data.particles=PROJECT/particles.star"

VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            name="demo",
            summary="simulate a small project, refine it and compare the result with the truth",
            example="output=runs/demo",
            resumes=True,
        ),
        Verb(
            name="simulate",
            summary="make a tilt-series project with known truth, in Warp's layout",
            example="output=PROJECT simulation.series=3 simulation.sample.particles=40",
        ),
        Verb(
            name="inspect",
            summary="say what a project holds and what is wrong with it, before any heavy work",
            example=f"{_PROJECT} species.diameter=280",
        ),
        Verb(
            name="check",
            summary="check a project on its images: places, sign of depth, units; and say what refine would do",
            example=f"{_PROJECT} species.diameter=280 output=CHECK",
        ),
        Verb(
            name="import",
            summary="put alignments of IMOD or AreTomo into the metadata of a project",
            example="data.settings=PROJECT/warp_tiltseries.settings import.alignments=FOLDER "
            "import.pixel_size_angstrom=10 output=ALIGNED",
        ),
        Verb(
            name="refine",
            summary="refine poses and deformations together, and rebuild the maps",
            example=f"{_PROJECT} species.diameter=280 species.symmetry=C1 output=RUN",
            more_examples=(
                "data=relion data.optimisation_set=JOB/optimisation_set.star species.diameter=280 output=RUN",
                "data=population data.population=PROJECT/x.population output=RUN",
                "data.settings=PROJECT/warp_tiltseries.settings data.particles=RUN/particle/particles.star "
                "data.processing=RUN/warp_tiltseries species.diameter=280 schedule=once output=RUN2",
            ),
            resumes=True,
        ),
        Verb(
            name="reconstruct",
            summary="half maps and FSC from a project as it stands",
            example=f"{_PROJECT} species.diameter=280 output=RUN",
        ),
        Verb(
            name="weights",
            summary="estimate how strong the signal is by series, tilt and place, and reconstruct with these weights",
            example=f"{_PROJECT} species.diameter=280 output=RUN",
            resumes=True,
        ),
        Verb(
            name="report",
            summary="rebuild report.html of a finished run from the files in its folder",
            example="output=RUN",
        ),
        Verb(
            name="recommend",
            summary="say what to do after a run, and why: blocks to add or drop, grids, weights, or to stop",
            example="output=RUN",
        ),
        Verb(
            name="export",
            summary="write a project, or the result of a run, for RELION 5 or Warp",
            example=f"{_PROJECT} to=relion output=FOLDER",
            more_examples=("data=relion data.optimisation_set=RUN/relion/optimisation_set.star to=warp output=FOLDER",),
        ),
        Verb(
            name="denoise",
            summary="train a network on two half maps or half tomograms, and denoise them",
            example="'denoise.half_maps=[half1.mrc,half2.mrc]' output=DENOISED",
        ),
        Verb(
            name="postprocess",
            summary="resolution, filters and sharpening from two half maps",
            example="'species.half_maps=[half1.mrc,half2.mrc]' species.diameter=280 output=POST",
        ),
        Verb(
            name="population",
            summary="rotate, shift, expand or thin the particles of a species with its maps; make populations of M",
            example="action=expand_symmetry data.population=PROJECT/x.population output=EXPANDED",
            more_examples=(
                "action=rotate 'population.axis=[0,0,1]' population.angle_deg=45 data.particles=particles.star "
                "'data.maps=[half1.mrc,half2.mrc]' output=TURNED",
                "action=list data.population=PROJECT/x.population",
            ),
        ),
        Verb(
            name="history",
            summary="list the states that a folder of results has had, or add the one it is in",
            example="history.folder=RUN",
            more_examples=("history.folder=RUN history.message='before the new mask'",),
        ),
        Verb(
            name="diff",
            summary="say how far particles and tilts have moved between two states of a folder",
            example="history.folder=RUN history.a=COMMIT history.b=COMMIT",
        ),
        Verb(
            name="revert",
            summary="bring a folder of results back to an earlier state",
            example="history.folder=RUN history.to=COMMIT",
        ),
    )
}


def find_verb(name: str) -> Verb:
    """Return the verb of this name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in VERBS:
        hint = did_you_mean(name, VERBS) or f" (commands: {', '.join(VERBS)})"
        raise InputError(f"there is no command {name!r}{hint}")
    return VERBS[name]
