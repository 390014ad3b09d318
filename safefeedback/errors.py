"""The one exception that is shown to people."""


class InputError(ValueError):
    """Something the user gave cannot be used; its message is one line: what is wrong, where, what to do.

    The command line prints it without a traceback and ends with exit code 2.
    """
