"""`tilt.com`: what the program that reconstructs is told beside the alignment itself."""

from dataclasses import dataclass
from pathlib import Path

from mlit.errors import InputError
from mlit.io.atomic import atomic_write
from mlit.io.file_names import checked_path
from mlit.io.numbers import parse_number
from mlit.io.reading import read_text

_MOST_LINES = 10_000
_LONGEST_RANGE = 10_000


@dataclass(frozen=True)
class TiltCommand:
    """A command file; every line is kept as it is.

    Attributes
    ----------
    path : Path
        Where it was read from.
    lines : tuple of str
        All lines.
    """

    path: Path
    lines: tuple[str, ...]

    def entry(self, key: str) -> str | None:
        """Return what stands behind a keyword (any case), None where it is absent; the last one counts."""
        found = None
        for line in self.lines:
            words = line.split(None, 1)
            if words and words[0].upper() == key.upper() and not line.lstrip().startswith(("#", "$")):
                found = words[1].strip() if len(words) > 1 else ""
        return found

    def numbers(self, key: str, count: int) -> tuple[float, ...] | None:
        """Return the numbers behind a keyword, None where it is absent.

        Raises
        ------
        InputError
            If there are fewer than `count`.
        """
        text = self.entry(key)
        if text is None:
            return None
        words = text.replace(",", " ").split()
        if len(words) < count:
            raise InputError(f"{self.path}: {key} has {len(words)} values, {count} are expected; correct it")
        return tuple(parse_number(word, f"{self.path}: {key}") for word in words[:count])

    def file_name(self, key: str) -> str | None:
        """Return the file behind a keyword, None where it is absent."""
        text = self.entry(key)
        return None if not text else checked_path(text, f"{self.path}: {key}")

    def excluded_views(self) -> frozenset[int]:
        """Return the views that are left out, counted from 1 (EXCLUDELIST, EXCLUDELIST2)."""
        views: set[int] = set()
        for key in ("EXCLUDELIST", "EXCLUDELIST2", "EXCLUDE"):
            for word in (self.entry(key) or "").replace(",", " ").split():
                views |= set(self._view_range(word, key))
        return frozenset(views)

    def _view_range(self, word: str, key: str) -> range:
        first, _, last = word.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            raise InputError(f"{self.path}: {key} has '{word[:40]}'; numbers and ranges such as 3-5 are expected")
        limits = (int(first[:9]), int((last or first)[:9]))
        if not 1 <= limits[0] <= limits[1] <= limits[0] + _LONGEST_RANGE:
            raise InputError(f"{self.path}: {key} has '{word[:40]}', which is no range of views; correct it")
        return range(limits[0], limits[1] + 1)


def read_tilt_command(path: Path | str) -> TiltCommand:
    """Read a command file; raises `InputError` if it is absent or no text."""
    path = Path(path)
    lines = read_text(path, "command file (tilt.com)").split("\n")
    if len(lines) > _MOST_LINES:
        raise InputError(f"{path}: has {len(lines)} lines; is it a command file?")
    return TiltCommand(path, tuple(lines))


def write_tilt_command(path: Path | str, command: TiltCommand) -> None:
    """Write a command file as it was read."""
    with atomic_write(path) as partial:
        partial.write_text("\n".join(command.lines), encoding="utf-8", newline="\n")
