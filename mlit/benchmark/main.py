"""Command line of the benchmarks."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from mlit.benchmark.clock import device_of
from mlit.benchmark.data import refinement_config, simulated_project
from mlit.benchmark.forecast import EMPIAR_10499, forecast
from mlit.benchmark.forecast_report import forecast_table, measured_table, read_measured
from mlit.benchmark.machine import copy_bytes_per_second, facts_line, machine_facts
from mlit.benchmark.ranks import RankCost, measure_ranks, ranks_table, why_no_ranks
from mlit.benchmark.scaling import Size, measure_sizes, scaling_as_json, scaling_table
from mlit.benchmark.solver_comparison import candidates, compare_solvers
from mlit.benchmark.solver_ratios import ratios
from mlit.benchmark.solver_report import attempts_table, comparison_as_json, ratios_table
from mlit.benchmark.weights_recovery import recovery
from mlit.cli.composer import Composer
from mlit.errors import InputError
from mlit.io.atomic import atomic_write

ROWS = {
    "particles": [Size(particles, 41) for particles in (60, 120, 240, 480, 960)],
    "tilts": [Size(120, tilts) for tilts in (11, 21, 41, 81, 161)],
    "box": [Size(60, 41, 1, diameter) for diameter in (160.0, 230.0, 320.0, 450.0)],
    "series": [Size(60, 41, series) for series in (1, 2, 4, 8)],
}
RANKS, SIZE_FOR_RANKS = (1, 2), Size(60, 41, 6)


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark that was named.

    Returns
    -------
    int
        Exit code: 0 done, 2 wrong input.
    """
    arguments = _parser().parse_args(words)
    facts = machine_facts()
    print(facts_line(facts))
    try:
        results = arguments.run(arguments)
    except InputError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    if arguments.output is not None:
        with atomic_write(arguments.output) as partial:
            partial.write_text(json.dumps({"machine": facts, **results}, indent=1) + "\n", encoding="utf-8")
    return 0


def run_solver(arguments: argparse.Namespace) -> dict[str, object]:
    """Compare the solvers on a project that is given or simulated."""
    attempts = []
    with tempfile.TemporaryDirectory() as name:
        folder, words = Path(name), arguments.words
        if not any(word.startswith("data.settings=") for word in words):
            size = arguments.size
            words = [*simulated_project(folder / "project", size.particles, size.tilts, arguments.width), *words]
        for after in arguments.after:
            cfg = refinement_config(words, folder / f"after_{after}")
            attempts += compare_solvers(cfg, after, arguments.resolution, candidates(arguments.passes), _progress)
    found = ratios(attempts)
    print(f"\n{attempts_table(attempts)}\n\n{ratios_table(found)}")
    return comparison_as_json(attempts, found)


def run_scale(arguments: argparse.Namespace) -> dict[str, object]:
    """Measure one row of sizes after the other."""
    copied, rows = copy_bytes_per_second(_device(arguments)), {}
    against = [name for name in arguments.against if name in ROWS]
    given = dict(enumerate(arguments.sizes)) if arguments.sizes else {name: ROWS[name] for name in against}
    for name, sizes in given.items():
        options = arguments.repeats, arguments.resolution, arguments.words
        with tempfile.TemporaryDirectory() as folder:
            costs = measure_sizes(sizes, *options, Path(folder), arguments.width, _progress)
        print(f"\n{scaling_table(costs)}", flush=True)
        rows[str(name)] = scaling_as_json(costs)
    ranks = [] if arguments.sizes or "ranks" not in arguments.against else _scale_ranks(arguments)
    return {
        "rows": rows,
        "ranks": [vars(cost) for cost in ranks],
        "resolution_angstrom": arguments.resolution,
        "width": arguments.width,
        "copy_bytes_per_second": copied,
    }


def _scale_ranks(arguments: argparse.Namespace) -> list[RankCost]:
    """Measure runs of several processes, or say why that cannot be."""
    reason = why_no_ranks()
    if reason is not None:
        print(f"\nranks: not measured, {reason}")
        return []
    with tempfile.TemporaryDirectory() as folder:
        size, words = SIZE_FOR_RANKS, arguments.words
        costs = measure_ranks(RANKS, size, words, Path(folder), arguments.width, _progress)
    print(f"\n{ranks_table(costs)}", flush=True)
    return costs


def run_forecast(arguments: argparse.Namespace) -> dict[str, object]:
    """Foretell the time of a data set on GPUs from what ``scale`` has measured."""
    measured = json.loads(arguments.measured.read_text(encoding="utf-8"))
    taken = read_measured(measured)
    found = [forecast(EMPIAR_10499, gpus, taken) for gpus in arguments.gpus]
    print(f"\n{measured_table(taken)}\n\n{forecast_table(found)}")
    return {"measured": vars(taken), "forecasts": [vars(one) for one in found]}


def run_weights(arguments: argparse.Namespace) -> dict[str, object]:
    """Judge estimated weights of a simulated project."""
    found = recovery(arguments.project, arguments.run_folder)
    print(f"\n{found}")
    return vars(found)


def _device(arguments: argparse.Namespace) -> torch.device:
    """Where the words let a run compute."""
    composer = Composer("refine")
    with composer.ready():
        return device_of(composer.compose(arguments.words).values["trainer"])


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description="Measure mlit itself.")
    verbs = parser.add_subparsers(required=True)
    solver = verbs.add_parser("solver", help="passes over the images that each solver needs to the same objective")
    solver.add_argument("--after", type=_counts, default=(0, 3), help="iterations before the fit: 0,3")
    solver.add_argument("--passes", type=int, default=200, help="at most")
    solver.add_argument("--size", type=_size, default=Size(36, 41), help="of the simulated series: 36x41")
    solver.add_argument("--resolution", type=float, help="Å; as the schedule has it")
    solver.set_defaults(run=run_solver)
    scale = verbs.add_parser("scale", help="time and memory against particles, tilts, box, series and ranks")
    scale.add_argument(
        "--against", nargs="+", choices=[*ROWS, "ranks"], default=[*ROWS, "ranks"], help="which; all if not given"
    )
    scale.add_argument(
        "--sizes",
        type=_sizes,
        action="append",
        help="a row of own sizes, PARTICLESxTILTS[xSERIES][@DIAMETER]: 10x41,20x41; may be repeated",
    )
    scale.add_argument("--repeats", type=int, default=3, help="of every size; medians are shown")
    scale.add_argument("--resolution", type=float, default=25.0, help="Å, the same at all sizes")
    scale.set_defaults(run=run_scale)
    future = verbs.add_parser("forecast", help="estimate EMPIAR-10499 on H100 GPUs from what scale has measured")
    future.add_argument("measured", type=Path, metavar="FILE.json", help="what scale --output has written")
    future.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64], help="numbers of GPUs: 1 8 64")
    future.add_argument("--output", type=Path, metavar="FILE.json", help="write the results there too")
    future.set_defaults(run=run_forecast)
    weights = verbs.add_parser("weights", help="how well mlit weights has found the qualities of a simulated project")
    weights.add_argument("project", type=Path, help="folder of the simulated project")
    weights.add_argument("run_folder", type=Path, help="output of mlit weights")
    weights.add_argument("--output", type=Path, metavar="FILE.json", help="write the results there too")
    weights.set_defaults(run=run_weights)
    for verb, width in ((solver, 480), (scale, 1040)):
        verb.add_argument("--width", type=int, default=width, help=f"of the simulated images, in pixels: {width}")
        verb.add_argument("--output", type=Path, metavar="FILE.json", help="write the results there too")
        verb.add_argument("words", nargs="*", metavar="key=value", help="as after mlit refine")
    return parser


def _counts(text: str) -> tuple[int, ...]:
    """Take ``0,3`` apart."""
    return tuple(int(word) for word in text.split(","))


def _size(text: str) -> Size:
    """Take ``36x41``, ``36x41x2`` or ``36x41x2@300`` apart."""
    numbers, _, diameter = text.partition("@")
    return Size(*map(int, numbers.split("x")), diameter_angstrom=float(diameter) if diameter else None)


def _sizes(text: str) -> list[Size]:
    """Take ``10x41,20x41`` apart."""
    return [_size(word) for word in text.split(",")]
