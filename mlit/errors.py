"""Errors that a person can act on, and those that are no more than a warning."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("mlit")


class InputError(Exception):
    """A wrong input or configuration.

    The message is one line that names the file, row or key and says what to do. The command line
    prints it without a traceback and exits with code 2.
    """


class OutOfMemoryInputError(InputError, MemoryError):
    """A file that does not fit into what memory is left at the moment."""


def one_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextmanager
def only_warned(missing: str, still: str) -> Iterator[None]:
    """Turn any failure inside the block into a warning, so that no run is lost to something it can do without.

    Parameters
    ----------
    missing
        What there will not be.
    still
        What there is all the same.
    """
    try:
        yield
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        LOG.warning("%s (%s); %s", missing, reason, still)
