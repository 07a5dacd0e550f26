"""What decides between models, and models that start from others."""

import re

import pytest
import torch

from mlit.errors import InputError
from mlit.training.model_selection import Candidate, Evidence, HeldOut, candidates_from, check_candidates, decide

OPTIONS = {"image_warp": {"enabled": True, "grid": [4, 4]}, "defocus": {"enabled": True, "prior_um": 0.06}}
COARSE, FINE = Candidate("image_warp", {"grid": [2, 2]}), Candidate("image_warp", {"grid": [6, 6]})
WITHOUT = Candidate("defocus", {"enabled": False})
MORE = Candidate("volume_warp", {"enabled": True})
ALL = [COARSE, FINE, WITHOUT, MORE]


def sure(gain):
    return Evidence(gain, (gain / 5) ** 2, 100)


def chance(gain):
    return Evidence(gain, gain**2, 100)


def test_candidates_are_read_from_the_config():
    entries = [{"image_warp": {"grid": [2, 2]}}, {"defocus": {"enabled": False}}]
    assert candidates_from(entries) == [COARSE, WITHOUT]
    assert COARSE.label == "image_warp.grid=[2, 2]"


def test_a_change_leaves_the_rest_and_the_original_alone():
    changed = FINE.apply(OPTIONS)
    assert changed["image_warp"] == {"enabled": True, "grid": [6, 6]}
    assert changed["defocus"] == OPTIONS["defocus"]
    assert OPTIONS["image_warp"]["grid"] == [4, 4]


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ({}, []),
        ({FINE.label: sure(30.0)}, [FINE]),
        ({FINE.label: chance(30.0)}, []),
        ({FINE.label: sure(30.0), COARSE.label: sure(40.0)}, [COARSE]),
        ({FINE.label: sure(-30.0), MORE.label: sure(10.0)}, [MORE]),
        ({WITHOUT.label: chance(0.5)}, [WITHOUT]),
        ({WITHOUT.label: chance(-0.5)}, []),
        ({WITHOUT.label: Evidence()}, []),
    ],
)
def test_more_must_be_sure_and_what_gains_nothing_goes(evidence, expected):
    assert decide(evidence, ALL) == expected


def test_evidence_compares_images_in_pairs():
    generator = torch.Generator().manual_seed(0)
    present = 100 * torch.randn(50, 20, generator=generator)
    gains = 0.3 + torch.randn(50, 20, generator=generator)
    seen = torch.rand(50, 20, generator=generator) < 0.8
    everywhere = torch.ones_like(seen)
    found = HeldOut(present, seen).against(HeldOut(present + gains, everywhere))
    assert found.images == int(seen.sum()), "only images that both have seen"
    assert found.gain == pytest.approx(float(gains[seen].sum()), rel=1e-3)
    assert found.is_sure(), "though single likelihoods scatter far more"
    assert not HeldOut(present, seen).against(HeldOut(present + gains - 0.3, seen)).is_sure()


def test_series_add_up():
    total = sum([sure(5.0), sure(7.0)], Evidence())
    assert (total.gain, total.images) == (12.0, 200)
    assert total.variance == pytest.approx(1.0 + 1.4**2)


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (Candidate("image_wrap", {"grid": [2, 2]}), "no block 'image_wrap'; blocks are image_warp, defocus"),
        (Candidate("poses", {"temporal_samples": 2}), "no block 'poses'"),
        (Candidate("defocus", {"prior": 1}), "defocus has no 'prior'; it has enabled, prior_um"),
    ],
)
def test_candidates_that_change_nothing_are_refused(candidate, words):
    with pytest.raises(InputError, match=re.escape(words)):
        check_candidates([COARSE, candidate], OPTIONS | {"poses": {"temporal_samples": 1}})
