"""Errors that a person can act on."""


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
