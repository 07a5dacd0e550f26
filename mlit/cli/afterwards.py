"""What follows a finished run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("mlit")


@contextmanager
def never_losing_results(what: str, instead: str) -> Iterator[None]:
    """Turn any failure to make something of a finished run into a warning: the results of the run are there.

    Parameters
    ----------
    what
        What is made.
    instead
        Where else to find it, or how to try again.
    """
    try:
        yield
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        LOG.warning("no %s (%s); the results are complete, %s", what, reason, instead)
