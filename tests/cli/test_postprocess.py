import json

import mrcfile
import numpy as np
import pytest
import torch

from mlit.io.fsc_star import read_fsc_star
from mlit.io.mrc import read_mrc, write_mrc
from mlit.maps.filters import low_pass
from mlit.maps.mask import spherical_mask
from mlit.project.postprocess_results import MAPS, TABLES

BOX, PIXEL = 48, 3.0
ORIGIN, START = (-72.0, 10.5, 3.0), (-24, 0, 7)


@pytest.fixture
def half_maps(tmp_path):
    """Blurred molecule in noise, with an origin in the headers."""
    generator = torch.Generator().manual_seed(0)
    first, second, body = (torch.randn(BOX, BOX, BOX, generator=generator) for _ in range(3))
    signal = 4 * low_pass(body * spherical_mask(BOX, PIXEL, 80.0, 6.0), PIXEL, 8.0)
    signal += 4 * spherical_mask(BOX, PIXEL, 80.0, 6.0)
    for name, noise in (("a", first), ("b", second)):
        write_mrc(tmp_path / f"{name}.mrc", (signal + noise).numpy(), PIXEL)
        with mrcfile.open(tmp_path / f"{name}.mrc", "r+") as mrc:
            mrc.header.origin = ORIGIN
            mrc.nstart = START
    return "species.half_maps=[a.mrc,b.mrc]"


def test_everything_is_written_where_viewers_expect_it(call, half_maps, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.glob("*.mrc")}
    assert call("postprocess", half_maps, "species.diameter=90", "output=out") == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    out = tmp_path / "out"
    for name in MAPS:
        with mrcfile.open(out / f"{name}.mrc") as mrc:
            assert mrc.data.shape == (BOX,) * 3
            assert np.isfinite(mrc.data).all()
            assert float(mrc.voxel_size.x) == pytest.approx(PIXEL)
            assert tuple(float(mrc.header.origin[a]) for a in "xyz") == pytest.approx(ORIGIN)
            assert (int(mrc.nstart.x), int(mrc.nstart.y), int(mrc.nstart.z)) == START
    assert all((out / name).is_file() for name in TABLES)
    assert {path.stem for path in (out / "figures").glob("*.png")} == {
        "fsc",
        "guinier",
        "directions",
        "local_resolution",
    }
    summary = json.loads((out / "summary.json").read_text())
    assert summary["resolution_angstrom"] == pytest.approx(8, rel=0.1)
    assert summary["resolution_0.5_angstrom"] > summary["resolution_angstrom"]
    assert read_fsc_star(out / "fsc.star").resolution_angstrom() == pytest.approx(
        summary["resolution_angstrom"], rel=1e-3
    )
    assert 1 < summary["anisotropy"]["ratio"] < 1.3
    assert summary["anisotropy"]["best_angstrom"] < summary["anisotropy"]["worst_angstrom"]
    local = summary["local_resolution"]
    assert 7 < local["percentile_50_angstrom"] < 11
    assert local["percentile_5_angstrom"] <= local["percentile_95_angstrom"]
    assert summary["mask"]["kind"] == "density"


def test_mask_and_bfactor_of_the_caller(call, half_maps, tmp_path):
    binary = (spherical_mask(BOX, PIXEL, 80.0, 0.1) > 0.5).float()
    write_mrc(tmp_path / "mask.mrc", binary.numpy(), PIXEL)
    words = ("postprocess", half_maps, "species.mask=mask.mrc", "postprocess.bfactor_angstrom2=-200")
    assert call(*words, "output=out") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["bfactor_angstrom2"] == -200
    assert 0.05 < float(read_mrc(tmp_path / "out" / "mask.mrc")[0].mean()) - float(binary.mean()) < 0.5
    sharp, plain = (read_mrc(tmp_path / "out" / f"{name}.mrc")[0] for name in ("map_sharp", "map_filtered"))
    assert sharp.std() > 1.1 * plain.std()


def test_noise_is_called_noise(call, tmp_path, caplog):
    for i in (1, 2):
        volume = np.random.default_rng(i).normal(size=(32, 32, 32)).astype(np.float32)
        write_mrc(tmp_path / f"{i}.mrc", volume, PIXEL)
    assert call("postprocess", "species.half_maps=[1.mrc,2.mrc]", "species.diameter=60", "output=out") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert not summary["agree"]
    assert summary["anisotropy"] is summary["local_resolution"] is summary["bfactor_angstrom2"] is None
    assert not read_mrc(tmp_path / "out" / "map_sharp.mrc")[0].any()
    assert not (tmp_path / "out" / "map_local.mrc").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("species.half_maps=[a.mrc,a.mrc]", "species.diameter=90"), "both are"),
        (("species.half_maps=[a.mrc]", "species.diameter=90"), "two files"),
        (("species.half_maps=[a.mrc,b.mrc]",), "species.diameter"),
        (("species.half_maps=[a.mrc,b.mrc]", "species.diameter=-1"), "above zero"),
        (("species.half_maps=[a.mrc,b.mrc]", "species.diameter=90", "species.symmetry=X3"), "symmetry"),
        (("species.half_maps=[a.mrc,b.mrc]", "species.diameter=90", "species.helical_units=3"), "helical_rise=0"),
        (("species.half_maps=[a.mrc,b.mrc]", "species.mask=no.mrc"), "no.mrc"),
    ],
)
def test_wrong_calls_end_with_one_line(call, half_maps, capsys, words, message):
    assert call("postprocess", *words, "output=out") == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert message in errors


def test_results_are_never_overwritten(call, half_maps, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mask.mrc").write_bytes(b"mine")
    assert call("postprocess", half_maps, "species.diameter=90", "output=out") == 2
    assert "mask.mrc" in capsys.readouterr().err
    assert (tmp_path / "out" / "mask.mrc").read_bytes() == b"mine"
