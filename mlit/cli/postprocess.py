"""Resolution, filters and sharpening from two half maps."""

import logging
import time
from importlib.metadata import version
from pathlib import Path

from omegaconf import DictConfig

from mlit.errors import InputError
from mlit.geometry.map_symmetry import make_symmetry
from mlit.maps.given_mask import judge_in_mask
from mlit.maps.postprocessing import Postprocessed, postprocess
from mlit.parallel import reuse_memory
from mlit.project.half_map_files import HalfMapPair, read_half_maps, read_mask
from mlit.project.postprocess_results import figures, refuse_used_folder, write_postprocessed
from mlit.project.results import content_hash, write_summary
from mlit.report.postprocess_figures import write_postprocess_figures

LOG = logging.getLogger(__name__)


def run(cfg: DictConfig) -> None:
    """Analyse two half maps and write what follows into ``cfg.output``.

    Parameters
    ----------
    cfg
        The composed ``conf/postprocess.yaml``.

    Raises
    ------
    InputError
        If the maps or the mask cannot be used, or the folder holds results already.
    """
    started = time.monotonic()
    reuse_memory()
    output, species = Path(cfg.output), cfg.species
    check_config(cfg)
    refuse_used_folder(output)
    paths = [Path(path) for path in species.half_maps]
    symmetry = make_symmetry(species.symmetry, species.helical_units, species.helical_twist, species.helical_rise)
    pair = read_half_maps(paths, species.pixel_size_angstrom)
    mask = None if species.mask is None else read_mask(Path(species.mask), pair)
    LOG.info("half maps of %d px, %g Å/px", pair.first.shape[-1], pair.pixel_size_angstrom)
    halves = judge_in_mask(
        pair.first, pair.second, pair.pixel_size_angstrom, mask, species.diameter, symmetry, cfg.seed
    )
    bfactor = cfg.postprocess.bfactor_angstrom2
    results = postprocess(halves, symmetry, None if bfactor is None else -float(bfactor))
    write_postprocessed(output, results, pair.header)
    used = [*paths, *([Path(species.mask)] if species.mask else [])]
    write_summary(
        output / "summary.json",
        {
            **figures(results),
            "pixel_size_angstrom": pair.pixel_size_angstrom,
            "box_px": pair.first.shape[-1],
            "wall_seconds": time.monotonic() - started,
            "versions": {name: version(name) for name in ("mlit", "torch")},
            "input_sha256": {str(path): content_hash(path) for path in used},
        },
    )
    write_postprocess_figures(output)
    report(results, pair, output)


def check_config(cfg: DictConfig) -> None:
    """Raise for values that the kinds of the defaults allow but that make no sense.

    Raises
    ------
    InputError
        Naming the key.
    """
    diameter, pixel = cfg.species.diameter, cfg.species.pixel_size_angstrom
    if not 0 <= cfg.seed < 2**32:
        raise InputError(f"seed={cfg.seed}: must lie between 0 and 2^32 - 1")
    if diameter is None and cfg.species.mask is None:
        raise InputError("give species.diameter=… for a mask that is made from the map, or species.mask=…")
    for key, value in (("diameter", diameter), ("pixel_size_angstrom", pixel)):
        if value is not None and not value > 0:
            raise InputError(f"species.{key}={value}: must be above zero")


def report(results: Postprocessed, pair: HalfMapPair, output: Path) -> None:
    """Log the figures that matter."""
    curves = results.halves.curves
    if results.directional is None or results.local is None:
        LOG.warning("the half maps agree at no resolution: the filtered maps are empty")
    else:
        LOG.info("FSC 0.143 at %.2f Å, 0.5 at %.2f Å", curves.resolution_angstrom(), curves.resolution_angstrom(0.5))
        found = results.directional
        best, worst = found.resolution_angstrom.min(), found.resolution_angstrom.max()
        LOG.info("by direction %.2f to %.2f Å (one direction ± %.2f by chance)", best, worst, found.chance_angstrom)
    decay = results.maps.decay_angstrom2
    LOG.info("B factor: %s", "not fitted, too few shells beyond 10 Å" if decay is None else f"{-decay:.0f} Å²")
    if curves.resolution_angstrom() < 2.1 * pair.pixel_size_angstrom:
        LOG.warning("the half maps agree up to the Nyquist frequency: finer pixels may show more")
    LOG.info("results: %s", output)
