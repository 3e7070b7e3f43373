"""The command line, `flowspec COMMAND`: each command is a few calls of the public functions."""

import logging
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from tqdm import tqdm

from flowspec.cli.arguments import parser
from flowspec.cli.ending import Ended, code, heedless_streams, signals_as_exceptions, told
from flowspec.model.compiled import keep_programs


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Its words, by default those that the process was started with.

    Returns:
        The exit code: 0; 2 after a failure, told in one line on stderr; 128 and the number of the
        signal that ended it, such as 130 after SIGINT and 143 after SIGTERM.

    Raises:
        SystemExit: After `--help`, or with code 2 where the words make no command.
    """
    with heedless_streams():
        arguments = parser().parse_args(argv)
        try:
            with signals_as_exceptions(), _quiet_warnings(), _notes():
                # By name: a command loads what it needs, and only those that draw load matplotlib.
                run = import_module(arguments.module).run
                keep_programs()
                run(arguments)
                sys.stdout.flush()
        except (Exception, KeyboardInterrupt, Ended) as error:
            if arguments.traceback:
                traceback.print_exc()
            print(f"error: {told(error)}", file=sys.stderr)
            return code(error)
    return 0


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
