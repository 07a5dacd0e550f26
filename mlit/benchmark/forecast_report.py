"""From what ``scale`` has written to a forecast, and the forecast as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlit.benchmark.data import DIAMETER_ANGSTROM, LARGEST_DEFOCUS_UM, PIXEL_SIZE_ANGSTROM
from mlit.benchmark.forecast import ON_THE_HOST, Case, Forecast, Measured, shares_of_bandwidth
from mlit.benchmark.table import number, plain_table
from mlit.errors import InputError
from mlit.training.schedule import RESOLUTION_GAIN


def read_measured(measured: Mapping[str, Any]) -> Measured:
    """Take from a measurement what a forecast needs: shares of the bandwidth are those of the largest size.

    Parameters
    ----------
    measured
        Content of the file.

    Raises
    ------
    InputError
        If it holds no two sizes of one series with the molecule's own box.
    """
    sizes = [size for row in measured["rows"].values() for size in row["sizes"]]
    plain = [s for s in sizes if s["size"]["series"] == 1 and s["size"]["diameter_angstrom"] is None]
    if len({size["images"] for size in plain}) < 2:
        raise InputError("the file holds no two sizes to compare: measure with scale --against particles")
    small, large = (pick(plain, key=lambda size: size["images"]) for pick in (min, max))
    slope = (large["growing_seconds"] - small["growing_seconds"]) / (large["images"] - small["images"])
    constant = max(0.0, small["growing_seconds"] - slope * small["images"])
    case = measured_case(large, measured["resolution_angstrom"], measured["width"])
    shares = shares_of_bandwidth(case, large["stage_seconds"], measured["copy_bytes_per_second"])
    on_host = sum(large["stage_seconds"][name] for name in ON_THE_HOST)
    return Measured(shares, constant, on_host / large["images"])


def measured_case(size: Mapping[str, Any], resolution_angstrom: float, width: int) -> Case:
    """Describe a simulated project; the particles are those that took part."""
    tilts = size["size"]["tilts"]
    return Case(
        series=1,
        particles=round(size["images"] / tilts),
        tilts=tilts,
        pixel_size_angstrom=PIXEL_SIZE_ANGSTROM,
        image_pixels=width**2,
        diameter_angstrom=DIAMETER_ANGSTROM,
        defocus_um=LARGEST_DEFOCUS_UM,
        resolution_angstrom=resolution_angstrom,
        map_resolution_angstrom=max(2 * PIXEL_SIZE_ANGSTROM, resolution_angstrom / RESOLUTION_GAIN),
        passes=size["passes"],
    )


def measured_table(measured: Measured) -> str:
    """Say what was measured."""
    rows = [[name, f"{100 * share:.0f} %"] for name, share in measured.shares.items()]
    table = plain_table(["stage", "of the bandwidth of a copy"], rows)
    return (
        f"{table}\n{measured.seconds_per_series:.2f} s a series do not depend on its images\n"
        f"{1e3 * measured.host_seconds_per_image:.3f} ms an image stay on the CPU"
    )


def forecast_table(found: Sequence[Forecast]) -> str:
    """Lay out seconds of each stage of an iteration, with one column for each number of GPUs."""
    rows = [[name, *(number(one.seconds[name], 1) for one in found)] for name in found[0].seconds]
    rows.append(["an iteration, s", *(number(sum(one.seconds.values()), 0) for one in found)])
    rows.append(["the run, min", *(number(one.run_seconds / 60, 0) for one in found)])
    rows.append(["memory, GB", *(number(one.memory_bytes / 1e9, 0) for one in found)])
    rows.append(["enough", *("yes" if one.memory_suffices else "no" for one in found)])
    rows.append(["bottleneck", *(one.bottleneck for one in found)])
    return plain_table(["GPUs", *(str(one.gpus) for one in found)], rows)
