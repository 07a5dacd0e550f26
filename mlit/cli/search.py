"""Sweeps that lie ready in a config (``hparams_search``)."""

import math
from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from mlit.cli.composer import Composer
from mlit.cli.overrides import parse, single_values
from mlit.errors import InputError

GROUP = "hparams_search"


def searched(composer: Composer, parsed: Sequence[Override]) -> list[Override]:
    """Return what the chosen search sweeps over, but for keys that are given beside it, which win.

    Hydra is to be ready for compositions.
    """
    options = [str(override.input_line) for override in parsed if override.key_or_group == GROUP]
    try:
        sweep = composer.compose(options).sweep
    except InputError:
        return []  # no such search: the check of the group says so, with what there is
    given = {override.key_or_group for override in parsed}
    return parse([f"{key}={values}" for key, values in sweep.items() if key not in given])


def sweep_size(composer: Composer, texts: Sequence[str]) -> int:
    """Count the runs that checked overrides ask for."""
    parsed = parse(texts)
    with composer.ready():
        every = [*searched(composer, parsed), *parsed]
    return math.prod(len(single_values(override)) for override in every)
