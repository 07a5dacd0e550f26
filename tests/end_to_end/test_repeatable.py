"""The same seed gives the same result, another seed the same within the noise."""

import numpy as np

from mlit.io.star import read_star

QUICK = ("schedule=quick", "model=coarse")


def positions(output):
    table = next(iter(read_star(output / "particle" / "particles.star").values()))
    return table[["wrpCoordinateX1", "wrpCoordinateY1", "wrpCoordinateZ1"]].astype(float).to_numpy()


def test_same_seed_gives_the_same_files(project, quick, refine):
    again = refine(project, *QUICK)
    assert again.outcome.code == 0, again.outcome.stderr
    names = ["particle/particles.star", "particle/fsc.star", "metrics.csv"]
    names += [f"warp_tiltseries/TS_0{i}.xml" for i in (1, 2)]
    names += [f"particle/{name}.mrc" for name in ("half1", "half2", "map", "map_sharp", "mask")]
    for name in names:
        assert (again.output / name).read_bytes() == (quick.output / name).read_bytes(), name


def test_another_seed_gives_the_same_within_the_noise(project, quick, refine):
    other = refine(project, *QUICK, "seed=2")
    assert other.outcome.code == 0, other.outcome.stderr
    first, second = positions(quick.output), positions(other.output)
    assert not np.array_equal(first, second)
    apart = first - second
    apart = apart - apart.mean(0)
    error = max(project.refined(run.output).position_rms_angstrom for run in (quick, other))
    assert np.sqrt((apart**2).sum(1).mean()) < 1.5 * error
    assert (
        abs(project.refined(quick.output).position_rms_angstrom - project.refined(other.output).position_rms_angstrom)
        < 0.5 * error
    )
