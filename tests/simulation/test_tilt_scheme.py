import numpy as np

from mlit.simulation.config_images import TiltSchemeConfig
from mlit.simulation.tilt_scheme import dose_symmetric_scheme


def test_dose_grows_from_zero_tilt_outwards():
    scheme = dose_symmetric_scheme(TiltSchemeConfig((9.0,), (3.0,), 0, 2.0), 0, np.random.default_rng(0))
    assert scheme.angle_deg.tolist() == [-9, -6, -3, 0, 3, 6, 9]
    assert scheme.dose.tolist() == [12, 8, 4, 0, 2, 6, 10]


def test_series_take_their_entries_in_turn():
    config = TiltSchemeConfig((60.0, 30.0), (3.0,), 0, 3.0)
    counts = [len(dose_symmetric_scheme(config, n, np.random.default_rng(0)).number) for n in range(3)]
    assert counts == [41, 21, 41]


def test_lost_tilts_leave_gaps_and_keep_the_doses_of_the_others():
    config = TiltSchemeConfig((30.0,), (3.0,), 4, 3.0)
    whole = dose_symmetric_scheme(TiltSchemeConfig((30.0,), (3.0,), 0, 3.0), 0, np.random.default_rng(1))
    scheme = dose_symmetric_scheme(config, 0, np.random.default_rng(1))
    assert len(scheme.number) == 17
    assert sorted([*scheme.number, *scheme.missing]) == list(range(21))
    assert scheme.dose.tolist() == whole.dose[scheme.number].tolist()
    assert 0.0 in scheme.dose
