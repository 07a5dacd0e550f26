"""Errors that a person can act on."""


class InputError(Exception):
    """A wrong input or configuration.

    The message is one line that names the file, row or key and says what to do. The command line
    prints it without a traceback and exits with code 2.
    """
