"""Numbers in text files: strict reading, and writing that loses nothing."""

import math

from mlit.errors import InputError

LARGEST = 1e15  # no length, angle or dose comes near, and sums and products of such numbers stay finite


def parse_number(text: str | None, where: str) -> float:
    """Return a number written with a decimal point, of a size that can be computed with.

    Parameters
    ----------
    text : str or None
        The written number; None stands for a value that is absent.
    where : str
        File and key or row, the beginning of the error message.

    Raises
    ------
    InputError
        If the text is absent, not a number, infinite, NaN, or larger than `LARGEST`.
    """
    if text is None or not text.strip():
        raise InputError(f"{where} has no value; a number is expected")
    stripped = text.strip()
    try:
        value = math.nan if "_" in stripped else float(stripped)
    except ValueError:
        hint = " (write the decimals with a point)" if "," in stripped else ""
        raise InputError(f"{where} is {_shown(stripped)}, which is not a number{hint}; correct it") from None
    if not math.isfinite(value):
        raise InputError(f"{where} is {_shown(stripped)}, which is not a finite number; correct it")
    if abs(value) > LARGEST:
        raise InputError(f"{where} is {_shown(stripped)}, which is far too large; correct it")
    return value


def parse_positive(text: str | None, where: str) -> float:
    """Return a finite number above zero; errors as in `parse_number`."""
    value = parse_number(text, where)
    if value <= 0:
        raise InputError(f"{where} is {value:g}; it must be above zero")
    return value


def parse_integer(text: str | None, where: str) -> int:
    """Return a whole number; errors as in `parse_number`."""
    value = parse_number(text, where)
    if value != int(value):
        raise InputError(f"{where} is {value:g}; a whole number is expected")
    return int(value)


def parse_bool(text: str | None, where: str) -> bool:
    """Return a truth value written as True/False (any case) or 1/0."""
    known = {"true": True, "1": True, "false": False, "0": False}
    value = known.get((text or "").strip().lower())
    if value is None:
        raise InputError(f"{where} is {_shown(text or '')}; True or False is expected")
    return value


def parse_numbers(text: str | None, count: int, where: str) -> tuple[float, ...]:
    """Return the numbers of a comma-separated list such as "1, 0, 0, 1"."""
    parts = (text or "").split(",")
    if len(parts) != count:
        raise InputError(f"{where} is {_shown(text or '')}; {count} numbers separated by commas are expected")
    return tuple(parse_number(part, where) for part in parts)


def format_number(value: float) -> str:
    """Return the shortest text that reads back as the same float64, with a point whatever the locale.

    Raises
    ------
    ValueError
        If the value is not finite: such a number must never reach a file.
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a file cannot hold the number {number}")
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return repr(number)


def _shown(text: str) -> str:
    flat = " ".join(text.split())
    return f"'{flat[:40]}…'" if len(flat) > 40 else f"'{flat}'"
