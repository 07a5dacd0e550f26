"""Denoising of maps in files, from config to results."""

import logging
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
from jaxtyping import Float
from omegaconf import DictConfig
from torch import Tensor

from mlit.denoising.denoised import Denoised
from mlit.denoising.half_maps import denoise, posterior_halves
from mlit.denoising.module import MapDenoiser
from mlit.denoising.settings import DenoiserSettings
from mlit.denoising.tomograms import denoise_tomograms
from mlit.errors import InputError
from mlit.geometry.map_symmetry import make_symmetry
from mlit.io.atomic import atomic_write
from mlit.io.fsc_star import write_fsc_star
from mlit.io.mrc import read_mrc, write_mrc
from mlit.io.network_weights import read_weights, write_weights
from mlit.maps.mask import MaskResult, soft_mask
from mlit.maps.references import HalfMaps
from mlit.project.results import write_summary
from mlit.training.starting_maps import read_cubic_map

LOG = logging.getLogger("mlit")
WEIGHTS = "denoiser_weights.pt"
MAPS = ("denoised.mrc", "denoised_half1.mrc", "denoised_half2.mrc")


def make_denoiser(cfg: DictConfig) -> MapDenoiser | None:
    """Make the network that the config describes, if it does."""
    network = cfg.denoiser.get("network")
    return None if network is None else MapDenoiser(DenoiserSettings(**network, seed=cfg.seed))


def load_denoiser(path: Path, wanted: DenoiserSettings) -> MapDenoiser:
    """Make a network from a file of weights; its size is that of the file, all else is as wanted.

    Raises
    ------
    InputError
        If the file holds no such network.
    """
    settings, state = read_weights(path)
    unfit = InputError(f"{path}: weights and settings do not belong together; train the denoiser anew")
    try:
        known = replace(wanted, width=int(settings["width"]), depth=int(settings["depth"]))
        with torch.device("meta"):  # takes no memory, whatever size the file asks for
            shapes = {name: value.shape for name, value in MapDenoiser(known).state_dict().items()}
    except (KeyError, InputError) as error:
        raise unfit from error
    if shapes != {name: value.shape for name, value in state.items()}:
        raise unfit
    denoiser = MapDenoiser(known)
    denoiser.load_state_dict(state)
    return denoiser


def save_denoiser(path: Path, denoiser: MapDenoiser) -> None:
    """Write the weights of a network, and its settings beside them."""
    write_weights(path, asdict(denoiser.settings), denoiser.state_dict())


def write_denoised(folder: Path, denoised: Denoised, denoiser: MapDenoiser, pixel_size_angstrom: float) -> None:
    """Write the average of denoised half maps, the network, and what it brings in each shell."""
    write_mrc(folder / "map_denoised.mrc", denoised.maps.mean(0).cpu().numpy(), pixel_size_angstrom)
    save_denoiser(folder / WEIGHTS, denoiser)
    _write_gains(folder / "denoiser_gain.csv", denoised)


def _write_gains(path: Path, denoised: Denoised) -> None:
    with atomic_write(path) as partial:
        denoised.table().to_csv(partial, index=False, float_format="%.4f")


def denoise_files(cfg: DictConfig) -> None:
    """Denoise two half maps or half tomograms and write the results into ``cfg.output``.

    Parameters
    ----------
    cfg
        The composed ``conf/denoise.yaml``.

    Raises
    ------
    InputError
        If the input cannot be used.
    """
    started, output, task = time.monotonic(), Path(cfg.output), cfg.denoise
    denoiser = make_denoiser(cfg)
    if denoiser is None:
        raise InputError("denoiser: this option has no network; give denoiser=unet")
    if task.weights is not None:
        denoiser = load_denoiser(Path(task.weights), denoiser.settings)
    elif not task.train:
        raise InputError("denoise.train=false: give denoise.weights=… too, or there is nothing to apply")
    paths = _half_maps(task, output)
    LOG.info("denoising %s and %s", *paths)
    if task.kind == "tomograms":
        halves, pixel = _read_pair(paths)
        denoised, summary = denoise_tomograms(denoiser, halves, task.train), {}
    elif task.kind == "maps":
        result, halves = _denoise_maps(denoiser, paths, task, cfg)
        LOG.info("%s", result)
        denoised, pixel, summary = result.maps, halves.pixel_size_angstrom, result.summary()
        _write_gains(output / "denoiser_gain.csv", result)
        write_fsc_star(output / "fsc.star", halves.curves)
    else:
        raise InputError(f"denoise.kind={task.kind}: give maps or tomograms")
    for name, volume in zip(MAPS, (denoised.mean(0), *denoised), strict=True):
        write_mrc(output / name, volume.numpy(), pixel)
    save_denoiser(output / WEIGHTS, denoiser)
    write_summary(output / "summary.json", summary | {"wall_seconds": time.monotonic() - started})
    LOG.info("results: %s", output)


def _half_maps(task: DictConfig, output: Path) -> list[Path]:
    """Paths of the two half maps, neither of which may be among the results."""
    if len(task.half_maps) != 2:
        raise InputError("denoise.half_maps: give two files, half map 1 and half map 2")
    paths = [Path(path) for path in task.half_maps]
    inputs = {path.resolve() for path in (*paths, *(Path(p) for p in (task.mask, task.weights) if p is not None))}
    for path in sorted(inputs & {(output / name).resolve() for name in (*MAPS, WEIGHTS)}):
        raise InputError(f"output={output}: {path} is an input and would be overwritten; give another output=…")
    return paths


def _read_pair(paths: list[Path]) -> tuple[Float[Tensor, "side z y x"], float]:
    """Read two volumes of one shape and pixel size.

    Raises
    ------
    InputError
        If they are no pair.
    """
    (first, pixel), (second, other) = (read_mrc(path) for path in paths)
    if not pixel or not other:
        raise InputError(f"{paths[0 if not pixel else 1]}: the header has no pixel size; set it")
    if first.ndim != 3 or first.shape != second.shape or abs(pixel - other) > 1e-3 * pixel:
        raise InputError(f"{paths[0]} and {paths[1]} differ in shape or pixel size, or are no volumes; give a pair")
    halves = torch.stack([torch.from_numpy(first), torch.from_numpy(second)])
    if not bool(halves.isfinite().all()):
        raise InputError(f"{paths[0]}, {paths[1]}: hold values that are not finite; make the maps again")
    if torch.equal(halves[0], halves[1]):
        raise InputError(f"{paths[0]} and {paths[1]} are the same map; give the two half maps")
    return halves, pixel


def _denoise_maps(
    denoiser: MapDenoiser, paths: list[Path], task: DictConfig, cfg: DictConfig
) -> tuple[Denoised, HalfMaps]:
    """Denoise half maps of a molecule up to the resolution at which they cease to agree."""
    maps, pixel = _read_pair(paths)
    box = maps.shape[-1]
    first, second = (read_cubic_map(path, box, pixel) for path in paths)
    if task.mask is None:
        diameter = task.diameter or box * pixel / 2
        mask = soft_mask((first + second) / 2, pixel, diameter, 15.0)
    else:
        given = read_cubic_map(Path(task.mask), box, pixel).clamp(0, 1)
        mask = MaskResult(given, "density", float(given.mean()))
    helix = task.helical_units, task.helical_twist, task.helical_rise
    symmetry = make_symmetry(task.symmetry, *helix)
    halves = HalfMaps.judge(first, second, pixel, mask, cfg.seed, symmetry)
    LOG.info("half maps agree to %.2f Å", halves.significant_resolution_angstrom)
    return denoise(denoiser, posterior_halves(halves, box), halves, symmetry, 0.0, task.train), halves
