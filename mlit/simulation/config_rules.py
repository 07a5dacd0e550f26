"""Rules that values of a simulation keep; a value that breaks one is refused in one line."""

from mlit.errors import InputError


def require(condition: bool, key: str, value: object, rule: str) -> None:
    """Raise the one-line error of a config value that breaks its rule."""
    if not condition:
        raise InputError(f"simulation.{key} must be {rule}, got {value}")


def require_not_negative(section: str, config: object, names: tuple[str, ...]) -> None:
    """Check several numbers of one section against zero."""
    for name in names:
        value = getattr(config, name)
        require(value >= 0, f"{section}.{name}", value, "zero or more")
