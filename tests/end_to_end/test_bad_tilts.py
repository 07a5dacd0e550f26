"""A table of bad tilts does what switching them off in the metadata does, and unknown columns reach every result."""

import json

import numpy as np
import pytest

from mlit.io.particles import read_particles, write_particles
from mlit.io.star import read_star, write_star
from mlit.io.warp.settings import read_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.population_tree import read_population_tree
from tests.m_files import write_population_files

ONCE = (
    "schedule.iterations=[{resolution_angstrom: 30, blocks: [poses, image_warp]}]",
    "model=coarse",
    "denoiser=wiener",
    "folds=1",
)
BAD = {"TS_01": [0, 6], "TS_02": [3]}


def write_table(path, project):
    """Name tilts by number and by image."""
    movies = TiltSeriesXml.read(project.xml("TS_01")).movie_paths
    rows = ["TS_01,1,dark", f'TS_01,{movies[6].rsplit("/")[-1]},"ice, thick"', "TS_02.tomostar,4,"]
    path.write_text("\n".join(["series,tilt,reason", *rows]) + "\n")
    return path


def used_of(folder, name):
    return np.flatnonzero(~TiltSeriesXml.read(folder / "warp_tiltseries" / f"{name}.xml").use_tilt).tolist()


def results(folder):
    named = ["metrics.csv", "suspects.csv", "particle/particles.star", "particle/map.mrc", "warp_tiltseries/TS_01.xml"]
    return {name: (folder / name).read_bytes() for name in named}


def test_a_table_does_what_the_metadata_do(broken, tmp_path, mlit):
    table = write_table(tmp_path / "bad.csv", broken)
    named = mlit(*broken.command(tmp_path / "named", *ONCE, f"data.bad_tilts={table}"))
    assert named.code == 0, named.stderr
    assert "tilts switched off by" in named.stdout
    assert "1 (dark), 7 (ice, thick)" in named.stdout
    for name, tilts in BAD.items():
        xml = TiltSeriesXml.read(broken.xml(name))
        xml.with_lists({"UseTilt": [tilt not in tilts for tilt in range(13)]}).write(broken.xml(name))
    assert mlit(*broken.command(tmp_path / "set", *ONCE)).code == 0
    assert results(tmp_path / "named") == results(tmp_path / "set")
    for name, tilts in BAD.items():
        assert used_of(tmp_path / "named", name) == tilts
        relion = read_star(tmp_path / "named" / "relion" / "tilt_series" / f"{name}.star")[name]
        assert len(relion) == 13 - len(tilts)
    inputs = json.loads((tmp_path / "named" / "summary.json").read_text())["input_sha256"]
    assert str(table) in inputs


@pytest.fixture
def relion(broken, tmp_path, mlit):
    """The project for RELION, with columns that mlit does not know."""
    files = [f"data.settings={broken.settings}", f"data.particles={broken.particles}"]
    assert mlit("export", *files, "to=relion", f"output={tmp_path / 'relion'}").code == 0
    folder = tmp_path / "relion"
    for path, block in (
        ("particles.star", "particles"),
        ("tomograms.star", "global"),
        ("tilt_series/TS_01.star", "TS_01"),
        ("tilt_series/TS_02.star", "TS_02"),
    ):
        blocks = read_star(folder / path)
        table = blocks[block]
        blocks[block] = table.assign(rlnMyNote=[f"{path}_{row}" for row in range(len(table))])
        write_star(folder / path, blocks)
    return folder


def test_projects_of_relion_obey_and_keep_unknown_columns_through_refine(relion, broken, tmp_path, mlit):
    table = tmp_path / "bad.csv"
    table.write_text("series,tilt,reason\nTS_01,1,dark\nTS_02,4,\n")
    words = ["data=relion", f"data.optimisation_set={relion / 'optimisation_set.star'}", f"data.bad_tilts={table}"]
    own = [f"species.diameter={broken.diameter}", "logger=none", f"output={tmp_path / 'run'}"]
    outcome = mlit("refine", *words, *own, *ONCE)
    assert outcome.code == 0, outcome.stderr
    written = tmp_path / "run" / "relion"
    assert used_of(tmp_path / "run", "TS_01") == [0]
    tilts = read_star(written / "tilt_series" / "TS_01.star")["TS_01"]
    assert len(tilts) == 12
    given = read_star(relion / "tilt_series" / "TS_01.star")["TS_01"]
    note = dict(zip(given["rlnMicrographName"], given["rlnMyNote"], strict=True))
    assert tilts["rlnMyNote"].tolist() == [note[name] for name in tilts["rlnMicrographName"]]
    assert read_star(written / "tomograms.star")["global"]["rlnMyNote"].tolist() == [
        "tomograms.star_0",
        "tomograms.star_1",
    ]
    for path in (written / "particles.star", tmp_path / "run" / "particle" / "particles.star"):
        table = next(block for block in read_star(path).values() if "rlnMyNote" in block)
        assert table["rlnMyNote"].tolist() == [f"particles.star_{row}" for row in range(24)]


def test_populations_obey_and_keep_what_is_unknown_through_refine(broken, tmp_path, mlit):
    path = write_population_files(broken.root, ["TS_01", "TS_02"])
    source = broken.root / "warp_tiltseries" / "day1.source"
    size = read_settings(broken.settings).tomogram_size_px
    text = source.read_text().replace('Value="2.0"', 'Value="8"')
    for axis, old, new in zip("XYZ", ("48.0", "32", "20"), size, strict=True):
        text = text.replace(f'"Dimensions{axis}" Value="{old}"', f'"Dimensions{axis}" Value="{new:g}"')
    source.write_text(text)
    settings = read_settings(broken.settings)
    table = read_particles(broken.particles, 8.0, settings.tomogram_size_angstrom)
    write_particles(read_population_tree(path).species[0].file("particles"), table)
    bad = write_table(tmp_path / "bad.csv", broken)
    words = ["data=population", f"data.population={path}", f"data.bad_tilts={bad}", "species.symmetry=C1"]
    own = [f"species.diameter={broken.diameter}", "logger=none", f"output={tmp_path / 'run'}"]
    outcome = mlit("refine", *words, *own, *ONCE)
    assert outcome.code == 0, outcome.stderr
    assert used_of(tmp_path / "run", "TS_01") == BAD["TS_01"]
    xml = (tmp_path / "run" / "warp_tiltseries" / "TS_01.xml").read_text(encoding="utf-8")
    assert '<Foreign a="1"><Child>µ &amp; text</Child></Foreign>' in xml
    assert 'Colour="blue"' in xml
    written = next(iter(read_star(tmp_path / "run" / "ribo_some" / "particles.star").values()))
    assert written["rlnMyNote"].tolist() == table.source["rlnMyNote"].tolist()
    species = next((tmp_path / "run" / "m" / "species").rglob("*.species")).read_text(encoding="utf-8-sig")
    assert '<Future Deep="yes">text</Future>' in species
