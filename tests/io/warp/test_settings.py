from pathlib import Path

import pytest

from mlit.errors import InputError
from mlit.io.warp.settings import WarpSettings, read_settings, write_settings
from tests.support import shared_path


def example(folder: Path) -> WarpSettings:
    return WarpSettings(
        path=folder / "p.settings",
        data_folder=folder / "tomostar",
        processing_folder=folder / "warp_tiltseries",
        extension="*.tomostar",
        pixel_size_angstrom=1.5,
        bin_times=1.0,
        tomogram_size_px=(400.0, 300.0, 200.0),
        cs_mm=0.01,
    )


def changed(folder: Path, old: str, new: str) -> Path:
    write_settings(folder / "p.settings", example(folder))
    text = (folder / "p.settings").read_text()
    assert old in text
    (folder / "p.settings").write_text(text.replace(old, new))
    return folder / "p.settings"


def test_round_trip_and_derived_sizes(tmp_path):
    write_settings(tmp_path / "p.settings", example(tmp_path))
    settings = read_settings(tmp_path / "p.settings")
    assert settings == example(tmp_path)
    assert settings.binned_pixel_size_angstrom == 3.0
    assert settings.tomogram_size_angstrom == (600.0, 450.0, 300.0)


def test_real_files():
    settings = read_settings(shared_path("data", "metadata", "warp_m", "test.settings"))
    assert settings.pixel_size_angstrom == 1.54
    assert settings.tomogram_size_px == (4096, 4096, 2000)
    assert settings.processing_folder.name == "warp_tiltseries"


def test_folder_of_another_computer_is_found_beside_the_file(tmp_path):
    path = changed(tmp_path, 'Value="tomostar"', 'Value="/elsewhere/project/tomostar"')
    assert read_settings(path).data_folder == tmp_path / "tomostar"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('Value="1.5"', 'Value="0"', r"Import/PixelSize is 0; it must be above zero"),
        ('Value="1.5"', 'Value="-1.5"', r"Import/PixelSize is -1.5; it must be above zero"),
        ('Value="1.5"', 'Value="NaN"', r"Import/PixelSize is 'NaN', which is not a finite number"),
        ('Value="1.5"', 'Value="1,5"', r"Import/PixelSize is '1,5', which is not a number"),
        ('Name="PixelSize"', 'Name="Pixel"', r"has no Import/PixelSize"),
        ('Name="DimensionsZ" Value="200"', 'Name="DimensionsZ" Value="0"', r"Tomo/DimensionsZ is 0"),
        ('Value="*.tomostar"', 'Value="*.eer"', r"frame-series settings"),
        (
            'Name="BinTimes" Value="1"',
            'Name="BinTimes" Value="-1"',
            r"Import/BinTimes is -1; it lies between 0 and 10",
        ),
        ("</Settings>", "", r"settings file is damaged"),
        ("Settings>", "TiltSeries>", r"is no settings file"),
    ],
)
def test_faults_name_file_and_key(tmp_path, old, new, message):
    path = changed(tmp_path, old, new)
    with pytest.raises(InputError, match=message) as caught:
        read_settings(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"p\.settings: settings file not found"):
        read_settings(tmp_path / "p.settings")
