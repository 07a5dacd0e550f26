"""Put alignments of IMOD or AreTomo into the metadata of a Warp project."""

import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from mlit.errors import InputError
from mlit.io.warp.settings import read_settings
from mlit.project.import_alignments import ImportedSeries, import_series
from mlit.project.selection import select_series, series_names

LOG = logging.getLogger("mlit")


def run(cfg: DictConfig) -> None:
    """Write the XML of every series with its new alignment into ``cfg.output``.

    Parameters
    ----------
    cfg
        The composed ``conf/import.yaml``.

    Raises
    ------
    InputError
        If no series can be aligned.
    """
    settings = read_settings(cfg.data.settings)
    options = cfg["import"]
    nodes = checked_nodes(None if options.image_warp is None else list(options.image_warp))
    if not 0 < options.pixel_size_angstrom <= 1e4:
        raise InputError(f"import.pixel_size_angstrom={options.pixel_size_angstrom}: must be above zero")
    if not 0 <= options.min_fov <= 1:
        raise InputError(f"import.min_fov={options.min_fov}: is a share from 0 to 1")
    folder = Path(options.alignments)
    if not folder.is_dir():
        raise InputError(f"import.alignments={folder}: is not a folder; give that of the alignments")
    target = Path(cfg.output) / "warp_tiltseries"
    names = select_series(series_names(settings), cfg.data.series, tuple(str(name) for name in cfg.data.exclude))
    failures: dict[str, str] = {}
    for name in names:
        try:
            series = import_series(name, settings, folder, options.pixel_size_angstrom, nodes, options.min_fov)
            series.xml.write(target / f"{name}.xml")
            report(name, series)
        except InputError as error:
            failures[name] = str(error)
            LOG.warning("%s is left out: %s", name, error)
    if len(failures) == len(names):
        raise InputError(f"{folder}: no series could be aligned; {next(iter(failures.values()))}")
    LOG.info("%d series aligned, %d left out: %s", len(names) - len(failures), len(failures), target)


def checked_nodes(nodes: Sequence[int] | None) -> tuple[int, int] | None:
    """Return the nodes of the image warp.

    Raises
    ------
    InputError
        If they are not two whole numbers that make sense.
    """
    if nodes is None:
        return None
    if len(nodes) != 2 or any(not (isinstance(count, int) and 2 <= count <= 32) for count in nodes):
        raise InputError(f"import.image_warp={nodes}: give two numbers from 2 to 32, along x and y")
    return int(nodes[0]), int(nodes[1])


def report(name: str, series: ImportedSeries) -> None:
    """Log what was taken over and how well."""
    warp, pixel = series.warp, series.pixel_size_angstrom
    parts = [f"{series.tilts_used} tilts from {series.source.name}"]
    if series.level_x_deg:
        parts.append(f"x-axis tilt {-series.level_x_deg:.2f}° as LevelAngleX")
    if warp.grid_px is not None:
        _, y, x, _ = warp.grid_px.shape
        parts.append(
            f"local shifts up to {warp.largest_px * pixel:.1f} Å as image warp of {x} × {y} nodes, residual "
            f"{warp.residual_px * pixel:.2f} Å rms, {warp.largest_residual_px * pixel:.2f} Å at most"
        )
    if warp.depth_residual_px * pixel > 1:
        parts.append(f"{warp.depth_residual_px * pixel:.1f} Å rms at top and bottom of the sample cannot be kept")
    if series.stale:
        parts.append(f"{', '.join(series.stale)} of another alignment reset")
    LOG.info("%s: %s", name, "; ".join(parts))
