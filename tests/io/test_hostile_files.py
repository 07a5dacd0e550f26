"""Damaged and hostile metadata: refused in one line, within a second, without filling the memory."""

import os
import random
import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mlit.errors import InputError
from mlit.io.aretomo.alignment import read_alignment
from mlit.io.imod.angles import read_angles
from mlit.io.imod.local_alignment import read_local_alignment
from mlit.io.imod.tilt_command import read_tilt_command
from mlit.io.imod.transforms import read_transforms
from mlit.io.m.population import read_population
from mlit.io.m.source import read_source
from mlit.io.m.species import read_species
from mlit.io.mrc import read_mrc, write_mrc
from mlit.io.particles import read_particles
from mlit.io.star import read_star
from mlit.io.warp.settings import WarpSettings, read_settings, write_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.io.warp.tomostar import Tomostar, read_tomostar, write_tomostar
from tests.m_files import POPULATION, SOURCE, SOURCE_GUID, SPECIES, SPECIES_GUID

SECONDS = 1.0
MIB = 2**20
MUTATIONS = 60


@dataclass(frozen=True)
class Kind:
    """A kind of file: how mlit reads it, and a good example."""

    read: Callable[[Path], object]
    good: bytes


def read_all_of_xml(path: Path) -> object:
    """Read a tilt-series XML and ask it for everything, as a project does."""
    xml = TiltSeriesXml.read(path)
    lists = (xml.angle_deg, xml.dose, xml.axis_angle_deg, xml.axis_offset_angstrom, xml.use_tilt, xml.movie_paths)
    sizes = (xml.image_size_angstrom, xml.volume_size_angstrom, xml.magnification, xml.level_angle_deg)
    grids = (xml.grid("GridMovementX"), xml.grid("GridCTF"), xml.volume_grid("GridVolumeWarpX"))
    return lists, sizes, grids, xml.ctf_number("Defocus", 0.0), xml.data_directory, xml.are_angles_inverted


def good_files(folder: Path) -> dict[str, Kind]:
    path = folder / "good"
    lists = {"Angles": [-3, 0, 3], "Dose": [6, 0, 3], "AxisAngle": [85, 85, 85], "UseTilt": [True] * 3}
    xml = TiltSeriesXml.new("S", {**lists, "MoviePath": ["a.tif", "b.tif", "c.tif"]}, None, {"Voltage": 300})
    xml.with_grids({"GridMovementX": np.ones((3, 2, 2)), "GridVolumeWarpX": np.ones((2, 2, 2, 2))}).write(path)
    files = {"xml": Kind(read_all_of_xml, path.read_bytes())}
    write_settings(path, WarpSettings(path, folder / "t", folder / "p", "*.tomostar", 2.0, 1.0, (48, 32, 20)))
    files["settings"] = Kind(read_settings, path.read_bytes())
    write_tomostar(path, Tomostar(("a.tif", "b.tif"), np.array([0.0, 3.0]), np.array([0.0, 3.0]), np.ones(2)))
    files["tomostar"] = Kind(read_tomostar, path.read_bytes())
    columns = [f"wrpCoordinate{a}1" for a in "XYZ"] + [f"wrpAngle{a}1" for a in ("Rot", "Tilt", "Psi")]
    columns += ["wrpRandomSubset", "wrpSourceName"]
    rows = "\n".join(f"1.5 2.5 3.5 10 20 30 {i % 2 + 1} 'S 1.tomostar'" for i in range(6))
    head = "\n".join(f"_{name} #{i}" for i, name in enumerate(columns, 1))
    files["particles"] = Kind(read_particles, f"data_\n\nloop_\n{head}\n{rows}\n".encode())
    guids = {"species": SPECIES_GUID, "source": SOURCE_GUID}
    files["population"] = Kind(read_population, POPULATION.format(**guids, source_path="a.source").encode())
    series = '<File Hash="h" Name="A.tomostar" />'
    files["source"] = Kind(read_source, SOURCE.format(**guids, pixel="2", files=series).encode())
    files["species"] = Kind(read_species, SPECIES.format(**guids).encode())
    files["xf"] = Kind(read_transforms, b"  1.0  0.0  0.0  1.0  5.0  -3.0\n" * 4)
    files["tlt"] = Kind(read_angles, b"  -3.00\n   0.00\n   3.00\n")
    local = "     2     1   100   100    50    50     0     1.0   0\n" + "0.1 0.2\n1 0 0 1 2 3\n1 0 0 1 2 3\n" * 2
    files["local"] = Kind(lambda p: read_local_alignment(p, 2), local.encode())
    files["com"] = Kind(
        lambda p: (read_tilt_command(p).excluded_views(), read_tilt_command(p).numbers("FULLIMAGE", 2)),
        b"$tilt -StandardInput\nFULLIMAGE 100 200\nEXCLUDELIST 1,3-5\n",
    )
    row = "    0   -93.7196    1.00000    155.235    708.750     1.00     1.00     1.00     0.00    -51.98\n"
    patch = "   0   0 -1537.16  -1363.14     -6.93    -36.22   1.0\n"
    aln = f"# AreTomo Alignment\n# RawSize = 100 80 1\n# Thickness = 9\n# SEC ROT\n{row}# Local Alignment\n{patch}"
    files["aln"] = Kind(read_alignment, aln.encode())
    write_mrc(path, np.ones((3, 4, 5), np.float32), 2.0)
    files["mrc"] = Kind(read_mrc, path.read_bytes())
    return files


KINDS = ("xml", "settings", "tomostar", "particles", "population", "source", "species", "xf", "tlt", "local", "com")
KINDS += ("aln", "mrc")
XML_KINDS = ("xml", "settings", "population", "source", "species")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory) -> dict[str, Kind]:
    return good_files(tmp_path_factory.mktemp("good"))


def refusal_of(kind: Kind, path: Path) -> InputError | None:
    try:
        kind.read(path)
    except InputError as error:
        return error
    return None


def read_guarded(kind: Kind, path: Path, largest_mib: float) -> InputError | None:
    """Read a file; return how it is refused, or None. Any other end, a long one or a large one fails."""
    start = time.process_time()
    refusal = refusal_of(kind, path)
    assert time.process_time() - start < SECONDS
    tracemalloc.start()  # only now, as it makes reading several times slower
    try:
        refusal_of(kind, path)
        assert tracemalloc.get_traced_memory()[1] / MIB < largest_mib
    finally:
        tracemalloc.stop()
    if refusal is not None:
        assert len(str(refusal)) < 1500 + 3 * len(str(path))
        assert len(str(refusal).splitlines()) == 1
    return refusal


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Damage a file as transfers, editors and enemies do."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data)) if data else 0
        damage = rng.randrange(9)
        if damage == 0:
            del data[place:]
        elif damage == 1:
            data[place:place] = rng.randbytes(rng.randint(1, 30))
        elif damage == 2 and data:
            data[place] = rng.randrange(256)
        elif damage == 3:
            del data[place : place + rng.randint(1, 60)]
        elif damage == 4:
            data[place:place] = data[place : place + rng.randint(1, 400)]
        elif damage == 5:
            texts = (b"1e309", b"nan", b"-inf", b"1000000000", b"-1", b"1_0", b"0x1F", b"1,5", b"\xc2\xa0", b"9" * 400)
            text = rng.choice(texts)
            digits = [i for i, byte in enumerate(data) if 48 <= byte < 58] or [0]
            at = rng.choice(digits)
            data[at : at + 1] = text
        elif damage == 6:
            data[place:place] = rng.choice(
                (b"\0", b"\xff\xfe", b"../../", b"/etc/passwd", b"<a>" * 300, b"\r", b"\x1a")
            )
        elif damage == 7:
            data[:] = bytes(data).decode("latin-1").encode("utf-16") if rng.random() < 0.5 else data[::-1]
        else:
            lines = bytes(data).split(b"\n")
            rng.shuffle(lines)
            data[:] = b"\n".join(lines)
    return bytes(data)


@pytest.mark.parametrize("name", KINDS)
def test_good_files_are_read(kinds, name, tmp_path):
    (tmp_path / "file").write_bytes(kinds[name].good)
    assert read_guarded(kinds[name], tmp_path / "file", 8) is None


@pytest.mark.parametrize("name", KINDS)
def test_damage_is_refused_or_harmless(kinds, name, tmp_path):
    rng = random.Random(name)
    refused = 0
    for _ in range(MUTATIONS):
        (tmp_path / "file").write_bytes(mutated(kinds[name].good, rng))
        refused += read_guarded(kinds[name], tmp_path / "file", 16) is not None
    assert refused > MUTATIONS / 10


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_file_is_refused(kinds, name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(2**41)
    for path in ("pipe", "folder", "empty", "none", "huge", "x" * 300, "a\0b"):
        if (name, path) == ("mrc", "huge"):
            continue  # its size is judged by its header
        assert read_guarded(kinds[name], tmp_path / path, 4) is not None
    assert read_guarded(kinds[name], Path("/dev/zero"), 4) is not None


@pytest.mark.parametrize("name", XML_KINDS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entity_bombs_are_refused(kinds, name, encoding, tmp_path):
    root = kinds[name].read.__name__
    lines = [f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10)]
    text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">{"".join(lines)}]><{root}>&a9;</{root}>'
    (tmp_path / "file").write_bytes(text.encode(encoding))
    assert read_guarded(kinds[name], tmp_path / "file", 8) is not None
    secret = tmp_path / "secret"
    secret.write_text("secret")
    text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file://{secret}">]><{root}>&a;</{root}>'
    (tmp_path / "file").write_bytes(text.encode(encoding))
    assert "document type or entities" in str(read_guarded(kinds[name], tmp_path / "file", 8))


@pytest.mark.parametrize("name", XML_KINDS)
def test_deep_broad_and_long_xml_is_refused(kinds, name, tmp_path):
    good = kinds[name].good
    root = good[good.index(b"<", good.index(b"?>")) :].split(None, 1)[0].strip(b"<>")
    path = tmp_path / "file"
    for inside in (b"<a>" * 100_000, b"<a/>" * 2_000_000, b"<a>" + b"x" * (70 * MIB) + b"</a>"):
        path.write_bytes(b"<" + root + b">" + inside + b"</" + root + b">")
        assert read_guarded(kinds[name], path, 72) is not None
    attributes = b" ".join(b'a%d=""' % i for i in range(200_000))
    path.write_bytes(b"<" + root + b" " + attributes + b"/>")
    read_guarded(kinds[name], path, 32)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'Width="2" Height="2" Depth="3"', b'Width="1000000000" Height="1000000000" Depth="1000000000"', "announces"),
        (b'Width="2" Height="2" Depth="3"', b'Width="-2" Height="-2" Depth="3"', "announces"),
        (b'Width="2" Height="2" Depth="3"', b'Width="1e400" Height="2" Depth="3"', "not a finite number"),
        (b'Value="1"', b'Value="inf"', "not a finite number"),
        (b"a.tif\n", b"x" * 5000 + b"\n", "longer than a path"),
        (b"a.tif\n", b"a\tb.tif\n", "control characters"),
        (b"-3\n0\n3", b"-3\n0", "has 3 values but Angles has 2"),
    ],
)
def test_nonsense_in_a_series_is_refused(kinds, tmp_path, old, new, words):
    assert old in kinds["xml"].good
    (tmp_path / "file").write_bytes(kinds["xml"].good.replace(old, new, 1))
    assert words in str(read_guarded(kinds["xml"], tmp_path / "file", 8))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("particles", b"data_\nloop_\n" + b"_a\n" * 3, "is there twice"),
        ("particles", b"".join(b"data_%d\n" % i for i in range(20_000)), "more than 5000 tables"),
        ("particles", b"data_\nloop_\n" + b"".join(b"_c%d\n" % i for i in range(20_000)), "more than 5000 columns"),
        ("particles", b"data_\n\0loop_\n", "NUL"),
        ("particles", "data_ü".encode("latin-1"), "not UTF-8"),
        ("tomostar", b"data_\nloop_\n_wrpMovieName #1\n_wrpAngleTilt #2\n_wrpDose #3\na 1 nan\n", "usable number"),
        ("local", b"1000000000 1000000000 1 1 1 1 0 1 0\n", "areas; 1 to"),
        ("local", b"2 1 100 100 0 0 0 1.0 0\n", "above zero"),
        ("local", b"2 1 100 100 5 5 0 1.0 0\n0 0\n", "is it cut short"),
        ("com", b"EXCLUDELIST 1-1000000000\n", "no range of views"),
        ("com", b"FULLIMAGE 5\n", "2 are expected"),
        ("xf", b"0 0 0 0 1 2\n", "flattens the image"),
        ("xf", b"1 0 0 1 2\n", "6 are expected"),
        ("aln", b"# SEC\n0 1 1 1 1 1 1 1 0 3\n# Local Alignment\n0 1 0 0 0 0 1\n", "same patches"),
        ("aln", b"# Thickness = many\n# SEC\n0 1 1 1 1 1 1 1 0 3\n", "not a number"),
    ],
)
def test_nonsense_in_text_files_is_refused(kinds, tmp_path, name, content, words):
    (tmp_path / "file").write_bytes(content)
    assert words in str(read_guarded(kinds[name], tmp_path / "file", 16))


def test_a_long_line_with_quotes_takes_no_time(tmp_path):
    for line in (b"'a" * 100_000, b'"' * 100_000, b"\"'" * 100_000, b"' " * 100_000):
        (tmp_path / "file").write_bytes(b"data_\nloop_\n_a #1\n" + line + b"\n")
        read_guarded(Kind(read_star, b""), tmp_path / "file", 80)


@pytest.mark.parametrize("size", [(2**31 - 1,) * 3, (100_000, 100_000, 1), (2**30, 1, 1)])
def test_sizes_that_an_mrc_header_only_claims_are_refused(kinds, tmp_path, size):
    good = kinds["mrc"].good
    path = tmp_path / "map.mrc"
    path.write_bytes(struct.pack("<3i", *size) + good[12:])
    assert "cut short" in str(read_guarded(kinds["mrc"], path, 4))
    with path.open("r+b") as stream:  # a sparse file that has the size, but no memory does
        stream.truncate(min(1024 + 4 * size[0] * size[1] * size[2], 2**43))
    if size[0] == 2**31 - 1:
        assert read_guarded(kinds["mrc"], path, 4) is not None


def test_pixel_sizes_that_cannot_be_are_none(kinds, tmp_path):
    good = kinds["mrc"].good
    for cell in (float("nan"), float("inf"), -1.0, 1e-30, 1e30):
        (tmp_path / "map.mrc").write_bytes(good[:40] + struct.pack("<3f", cell, cell, cell) + good[52:])
        assert read_mrc(tmp_path / "map.mrc")[1] is None
