"""What maps a run makes."""

import pytest

from mlit.errors import InputError
from mlit.maps.references import ReferenceSettings
from mlit.training.assembly import make_module
from mlit.training.series_setup import map_box


def test_the_box_is_twice_the_diameter_unless_another_one_is_wanted(small, config):
    references = make_module([small], config()).molecules[0].maps.settings.references
    pixel = small.pixel_size_angstrom
    assert make_module([small], config()).molecules[0].maps.settings.box * pixel >= 2 * references.diameter_angstrom
    for box in (40, 62):
        settings = make_module([small], config(f"species.box={box}")).molecules[0].maps.settings
        assert settings.box == box
        assert settings.references == references


@pytest.mark.parametrize(("box", "least"), [(37, 36), (34, 36), (0, 36), (-40, 36)])
def test_a_box_without_room_is_refused(box, least):
    with pytest.raises(InputError, match=rf"species\.box={box}: must be even and at least {least}"):
        map_box(ReferenceSettings(240.0), 8.0, box)
    assert map_box(ReferenceSettings(240.0), 8.0, least) == least
