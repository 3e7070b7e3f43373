"""The command line, `flowspec COMMAND`: each command is a few calls of the public functions."""

import logging
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from tqdm import tqdm

from flowspec.cli.arguments import parser
from flowspec.model.compiled import keep_programs

BAD_INPUT, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Its words, by default those that the process was started with.

    Returns:
        The exit code: 0, or 2 after an error in the input, told in one line on stderr.

    Raises:
        SystemExit: After `--help`, or with code 2 where the words make no command.
    """
    arguments = parser().parse_args(argv)
    # By name: a command loads what it needs, and only those that draw load matplotlib.
    run = import_module(arguments.module).run
    try:
        with _quiet_warnings(), _notes():
            keep_programs()
            run(arguments)
            sys.stdout.flush()
    except BrokenPipeError:  # `flowspec models | head`: who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _one_line(error: Exception) -> str:
    """The message of an error; of the operating system's, file and cause."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _quiet_warnings() -> Iterator[None]:
    """No warnings of the libraries below, unless asked for with `python -W` or PYTHONWARNINGS."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        yield


@contextmanager
def _notes() -> Iterator[None]:
    """What flowspec logs goes to stderr, in between progress bars."""
    logger, handler = logging.getLogger("flowspec"), _Notes(logging.INFO)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
        handler.count_repeated()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Notes(logging.Handler):
    """Shows a note once, and at the end how many more of its kind there were."""

    def __init__(self, level: int):
        super().__init__(level)
        self._seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self._seen[str(record.msg)] += 1
        if self._seen[str(record.msg)] == 1:
            tqdm.write(f"note: {record.getMessage()}", file=sys.stderr)

    def count_repeated(self) -> None:
        for message, count in self._seen.items():
            if count > 1:
                start = message.split("%")[0].strip()
                print(f"note: {start} ...: {count - 1} more of these", file=sys.stderr)
