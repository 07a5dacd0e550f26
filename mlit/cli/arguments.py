"""The options that every verb takes beside its overrides."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mlit.errors import InputError


@dataclass(frozen=True)
class Arguments:
    """A call, taken apart.

    Attributes
    ----------
    overrides
        ``key=value`` words, in order.
    help
        Print help instead of running.
    multirun
        Run once for every combination of the values given.
    config_dir
        A person's own folder of configs.
    show
        Print the composed config (``job``, ``hydra`` or ``all``) instead of running.
    resolve
        Print it with interpolations filled in.
    """

    overrides: tuple[str, ...] = ()
    help: bool = False
    multirun: bool = False
    config_dir: Path | None = None
    show: str | None = None
    resolve: bool = False

    def for_hydra(self, overrides: Sequence[str]) -> list[str]:
        """Return the words that Hydra's own parser understands."""
        words = [*(["--multirun"] if self.multirun else []), *(["--resolve"] if self.resolve else [])]
        if self.config_dir:
            words += ["--config-dir", str(self.config_dir)]
        if self.show:
            words += ["--cfg", self.show]
        return [*words, *overrides]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see mlit VERB --help")


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Take apart the words after the verb.

    Raises
    ------
    InputError
        For an unknown option, or a folder that is not there.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-cd", "--config-dir", type=Path)
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_intermixed_args(list(words))
    if given.config_dir is not None and not given.config_dir.is_dir():
        raise InputError(f"--config-dir: there is no folder {given.config_dir}")
    if given.resolve and not given.cfg:
        raise InputError("--resolve goes with --cfg job")
    if given.multirun and given.cfg:
        raise InputError("-m and --cfg do not go together")
    return Arguments(
        overrides=tuple(given.overrides),
        help=given.help,
        multirun=given.multirun,
        config_dir=given.config_dir,
        show=given.cfg,
        resolve=given.resolve,
    )
