"""Pictures for TensorBoard against the numbers that they are drawn from."""

import numpy as np
import pytest
from matplotlib.quiver import Quiver

from mlit.report.live_figures import LONGEST, PANEL, pixels, sections_figure, warp_figure
from mlit.report.map_figures import Sections, sections_of
from mlit.report.run_folder import RunFolder
from mlit.report.warp_fields import warp_fields


def test_arrows_are_the_warp_of_the_report(fake):
    fields, _ = warp_fields(RunFolder(fake.write()))
    (axes,) = warp_figure(fields).axes
    (quiver,) = [one for one in axes.collections if isinstance(one, Quiver)]
    shift = np.concatenate([field.shift_angstrom for field in fields])
    arrows = np.stack([quiver.U, quiver.V], -1)
    np.testing.assert_allclose(arrows, shift * LONGEST / 2.0, atol=1e-12)  # the longest shift is 2 Å
    second_row = fields[4]
    first = sum(len(field.x) for field in fields[:4])
    places = np.asarray(quiver.XY)[first : first + len(second_row.x)]
    np.testing.assert_allclose(places[:, 0], second_row.x + PANEL)
    np.testing.assert_allclose(places[:, 1], second_row.y - PANEL)
    assert [text.get_text().split(";")[0] for text in axes.texts] == [f"{f.series}, tilt {f.tilt}" for f in fields]
    assert "2 Å" in warp_figure(fields).get_suptitle()


def test_arrows_within_their_error_are_faint(fake):
    fields, _ = warp_fields(RunFolder(fake.write()))
    fields[0].error_angstrom[:] = 100
    (quiver,) = [one for one in warp_figure(fields).axes[0].collections if isinstance(one, Quiver)]
    alpha = quiver.get_alpha()
    assert (alpha[: len(fields[0].x)] < 0.5).all()
    assert (alpha[len(fields[0].x) :] == 1).all()


def test_sections_are_drawn_side_by_side_with_a_bar_of_their_length():
    volume = np.random.default_rng(0).normal(size=(12, 12, 12)).astype(np.float32)
    one = sections_of(volume, 10.0, "raw")
    assert isinstance(one, Sections)
    (axes,) = sections_figure([one, one]).axes
    assert len(axes.images) == 6
    for image, plane in zip(axes.images, [*one.planes, *one.planes], strict=True):
        np.testing.assert_array_equal(image.get_array(), plane)
        left, right, low, high = image.get_extent()
        assert (right - left, high - low) == pytest.approx((120, 120))
        assert image.get_clim() == pytest.approx((one.low, one.high))
    (bar,) = axes.lines
    assert float(np.ptp(bar.get_xdata())) == pytest.approx(20)
    assert "20 Å" in [text.get_text() for text in axes.texts]
    drawn = pixels(sections_figure([one, one]))
    assert drawn.dtype == np.uint8
    assert drawn.std() > 30
