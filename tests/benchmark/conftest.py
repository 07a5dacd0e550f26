"""A comparison of the solvers on a project that is as small as can be."""

import pytest

from mlit.benchmark.data import refinement_config, simulated_project
from mlit.benchmark.solver_comparison import Attempt, compare_solvers
from mlit.optim.solvers import Adam, GaussNewton, Lbfgs


@pytest.fixture(scope="session")
def attempts(tmp_path_factory) -> list[Attempt]:
    """Fits of one series with three solvers."""
    folder = tmp_path_factory.mktemp("solver")
    words = simulated_project(folder / "project", particles=12, tilts=9, width=288)
    cfg = refinement_config([*words, "model=coarse"], folder / "run")
    solvers = [GaussNewton(passes=25), Lbfgs(passes=50), Adam(passes=5)]
    return compare_solvers(cfg, 0, 40.0, solvers, print)
