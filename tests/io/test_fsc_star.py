import pytest
import torch

from mlit.errors import InputError
from mlit.fourier.shells import shell_frequencies
from mlit.io.fsc_star import read_fsc_star, write_fsc_star
from mlit.maps.fsc import FscCurves


def test_round_trip_with_the_column_names_of_m(tmp_path):
    values = [torch.cat([torch.ones(1), torch.rand(16) * 2 - 1]) for _ in range(4)]
    curves = FscCurves(shell_frequencies(32, 3.7), *values)
    write_fsc_star(tmp_path / "fsc.star", curves)
    text = (tmp_path / "fsc.star").read_text()
    for name in ("Resolution", "FSCUnmasked", "FSCRandomized", "FSCCorrected", "FSCMasked"):
        assert f"_wrp{name} " in text
    again = read_fsc_star(tmp_path / "fsc.star")
    for field in ("frequency_per_angstrom", "unmasked", "masked", "randomised", "corrected"):
        torch.testing.assert_close(getattr(again, field), getattr(curves, field), atol=1e-6, rtol=1e-6)


def test_damaged_table_is_named(tmp_path):
    path = tmp_path / "fsc.star"
    header = "data_\n\nloop_\n" + "".join(
        f"_{name}\n" for name in ("wrpResolution", "wrpFSCUnmasked", "wrpFSCRandomized", "wrpFSCCorrected")
    )
    path.write_text(header + "100 1 1 1\n50 1 1 1\n")
    with pytest.raises(InputError, match="wrpFSCMasked"):
        read_fsc_star(path)
    path.write_text(header + "_wrpFSCMasked\n100 1 1 1 1\n40 1 1 1 1\n")
    with pytest.raises(InputError, match="wrpResolution is not"):
        read_fsc_star(path)
