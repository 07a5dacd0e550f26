import pytest

from tests.project.relion_support import write_bent_project


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    settings, particles = write_bent_project(tmp_path_factory.mktemp("warp"))
    return ("export", f"data.settings={settings}", f"data.particles={particles}")


def test_to_relion_and_back(call, words, tmp_path, capsys):
    assert call(*words, "to=relion", "output=there") == 0
    assert "not carried: orientation 0.000°" in capsys.readouterr().out
    chosen = tmp_path / "there" / "optimisation_set.star"
    assert call("export", "data=relion", f"data.optimisation_set={chosen}", "to=warp", "output=back") == 0
    assert (tmp_path / "back" / "warp_tiltseries.settings").is_file()
    assert call("inspect", "data=relion", f"data.optimisation_set={chosen}") == 0
    page = capsys.readouterr().out
    assert "2 series can be used, 0 set aside" in page
    assert "inverted" in page


def test_refusals(call, words, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for wrong, message in (
        (("to=imod", "output=x"), "to=imod: must be one of relion, warp"),
        (("to=relion", "output=full"), "output=full: is not empty; give a new folder"),
    ):
        assert call(*words, *wrong) == 2
        errors = capsys.readouterr().err.strip()
        assert errors == f"mlit: {message}"
    assert call("export", "data=relion", "to=warp", "output=x") == 2
    assert "give a value for data.optimisation_set=…" in capsys.readouterr().err
