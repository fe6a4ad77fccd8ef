"""How a command line ends: one sentence and an exit code, whatever becomes of its terminal, pipe or disk."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

EXIT_REFUSED, EXIT_INTERRUPTED = 1, 130


def finish(
    program: str,
    work: Callable[[], int],
    refusals: tuple[type[Exception], ...],
    interrupted: str = "interrupted; nothing was done by halves.",
) -> int:
    """Run `work` and return its exit code; what may happen to any program ends in one sentence.

    `refusals`: the errors whose text is the sentence. 1 refused, or nobody reads the output any more;
    130 interrupted.
    """
    os.umask(0o077)  # what these programs write is for their owner alone
    _forgive_characters()
    try:
        code = work()
        if sys.stdout is not None:
            sys.stdout.flush()
    except refusals as refusal:
        return _refused(program, str(refusal))
    except KeyboardInterrupt:
        return _interrupted(program, interrupted)
    except RuntimeError as wrapped:  # Ctrl-C while a class is being made, Python 3.11
        if not isinstance(wrapped.__cause__, KeyboardInterrupt):
            raise
        return _interrupted(program, interrupted)
    except BrokenPipeError:
        _drop_output()
        return EXIT_REFUSED
    except OSError as problem:
        if problem.filename is None:
            _drop_output()
        return _refused(program, f"{said(problem)}: correct this and try again.")
    return code


def said(problem: OSError) -> str:
    """What the system says is wrong, and with which file."""
    where = f"{os.fsdecode(problem.filename)}: " if isinstance(problem.filename, str | bytes) else ""
    return f"{where}{problem.strerror or problem}"


def plain(text: str) -> str:
    """The text on one line, without characters that could move a cursor or forge a line of a log."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _interrupted(program: str, sentence: str) -> int:
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends already: a second Ctrl-C has nothing to add
    print(f"{program}: {sentence}", file=sys.stderr)
    return EXIT_INTERRUPTED


def _refused(program: str, sentence: str) -> int:
    print(f"{program}: {plain(sentence)}", file=sys.stderr)
    return EXIT_REFUSED


def _forgive_characters() -> None:
    """A terminal that has no arrow or accent gets an escape in its place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What is still to be written goes nowhere, so that the interpreter does not try again at its end."""
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
