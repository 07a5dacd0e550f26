"""What kind of value each config key takes, judged by its default."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any


class Kind(Enum):
    """Kinds of config values, worded as they stand in messages."""

    TRUTH = "true or false"
    WHOLE = "a whole number"
    NUMBER = "a number"
    TEXT = "text"
    NUMBERS = "a number, or several in [brackets]"
    TEXTS = "text, or several in [brackets]"
    LIST = "a list in [brackets]"
    GROUP = "a group of keys"
    ANY = "anything"


# Keys without a default, with null for "none", or with two kinds: the default does not tell what they take.
KINDS_WITHOUT_DEFAULT = {
    "output": Kind.TEXT,
    "folds": Kind.WHOLE,
    "memory_gib": Kind.NUMBER,
    "data.settings": Kind.TEXT,
    "data.particles": Kind.TEXT,
    "data.processing": Kind.TEXT,
    "data.population": Kind.TEXT,
    "data.species": Kind.TEXTS,
    "data.optimisation_set": Kind.TEXT,
    "data.tomograms": Kind.TEXT,
    "data.trajectories": Kind.TEXT,
    "data.folder": Kind.TEXT,
    "data.series": Kind.TEXTS,
    "data.bad_tilts": Kind.TEXT,
    "data.coordinate_pixel_size_angstrom": Kind.NUMBER,
    "species.name": Kind.TEXT,
    "species.diameter": Kind.NUMBER,
    "species.symmetry": Kind.TEXT,
    "species.half_maps": Kind.LIST,
    "species.mask": Kind.TEXT,
    "species.pixel_size_angstrom": Kind.NUMBER,
    "species.box": Kind.WHOLE,
    "species.temporal_samples": Kind.WHOLE,
    "import.alignments": Kind.TEXT,
    "import.pixel_size_angstrom": Kind.NUMBER,
    "import.image_warp": Kind.LIST,
    "history.folder": Kind.TEXT,
    "history.message": Kind.TEXT,
    "history.a": Kind.TEXT,
    "history.b": Kind.TEXT,
    "history.to": Kind.TEXT,
    "denoise.half_maps": Kind.LIST,
    "denoise.mask": Kind.TEXT,
    "denoise.diameter": Kind.NUMBER,
    "denoise.weights": Kind.TEXT,
    "postprocess.bfactor_angstrom2": Kind.NUMBER,
    "action": Kind.TEXT,
    "population.angles_deg": Kind.LIST,
    "population.axis": Kind.LIST,
    "population.angle_deg": Kind.NUMBER,
    "population.shift_angstrom": Kind.LIST,
    "population.point_angstrom": Kind.LIST,
    "population.symmetry": Kind.TEXT,
    "population.samples": Kind.WHOLE,
    "population.distance_angstrom": Kind.NUMBER,
    "population.mask": Kind.TEXT,
    "population.threshold": Kind.NUMBER,
    "population.name": Kind.TEXT,
    "model.poses.position_prior_angstrom": Kind.NUMBERS,
    "model.poses.rotation_prior_deg": Kind.NUMBERS,
    "weights.grid": Kind.LIST,
    "simulation.structure.path": Kind.TEXT,
    "simulation.structure.seed": Kind.WHOLE,
    "simulation.second_species.structure.path": Kind.TEXT,
    "simulation.second_species.structure.seed": Kind.WHOLE,
    "simulation.sample.min_distance_angstrom": Kind.NUMBER,
}

ONE_OR_SEVERAL = {Kind.NUMBERS: Kind.NUMBER, Kind.TEXTS: Kind.TEXT}


def is_interpolation(value: Any) -> bool:
    """Tell whether a value is taken from other keys (``${output}/x``)."""
    return isinstance(value, str) and "${" in value


def kind_of(value: Any) -> Kind:
    """Return the kind of a value; unset values and interpolations are of any kind."""
    if value is None or value == "???" or is_interpolation(value):
        return Kind.ANY
    by_type = {
        bool: Kind.TRUTH,
        int: Kind.WHOLE,
        float: Kind.NUMBER,
        str: Kind.TEXT,
        list: Kind.LIST,
        dict: Kind.GROUP,
    }
    return by_type.get(type(value), Kind.ANY)


def expected_kind(key: str, default: Any) -> Kind:
    """Return the kind that a key takes, from the table above or from its default."""
    return KINDS_WITHOUT_DEFAULT.get(key) or kind_of(default)


def fits(value: Any, expected: Kind) -> bool:
    """Tell whether a value may stand where a kind is expected (whole numbers are numbers)."""
    kind = kind_of(value)
    if expected in ONE_OR_SEVERAL:
        return all(fits(entry, ONE_OR_SEVERAL[expected]) for entry in (value if kind is Kind.LIST else [value]))
    return Kind.ANY in (kind, expected) or kind == expected or (kind, expected) == (Kind.WHOLE, Kind.NUMBER)


def walk(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every dotted key of nested dicts with its value, parents before their children."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        yield key, value
        if isinstance(value, Mapping):
            yield from walk(value, f"{key}.")


def lookup(tree: Mapping[str, Any], key: str) -> Any:
    """Return the value at a dotted key.

    Raises
    ------
    KeyError
        If the key is not there.
    """
    value: Any = tree
    for part in key.split("."):
        if not isinstance(value, Mapping):
            raise KeyError(key)
        value = value[part]
    return value


def has_key(tree: Mapping[str, Any], key: str) -> bool:
    """Tell whether a dotted key is there."""
    try:
        lookup(tree, key)
    except KeyError:
        return False
    return True
