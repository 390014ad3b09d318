"""The exception for user errors, and commands formatted for copying."""

from __future__ import annotations

import shlex


class InputError(ValueError):
    """The user's input cannot be used; the message is one line: what is wrong, where, what to do.

    The command line prints it without a traceback and ends with exit code 2.
    """


def command_line(*words: object) -> str:
    """A command as it is typed, quoted where the shell would read something else."""
    return shlex.join(map(str, words))
