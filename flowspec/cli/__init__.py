"""The command line, `flowspec COMMAND`: each command is a few calls of the public functions."""

import logging
import os
import sys
import time
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
from flowspec.model.memory import keep_memory


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
        words = parser()
        if "_ARGCOMPLETE" in os.environ:  # the shell asks what may follow
            import_module("argcomplete").autocomplete(words)
        arguments = words.parse_args(argv)
        try:
            with (
                signals_as_exceptions(),
                _quiet_warnings(arguments.verbose),
                _notes(arguments.verbose, arguments.quiet),
            ):
                # By name: a command loads what it needs, and only those that draw load matplotlib.
                run = import_module(arguments.module).run
                keep_programs()
                keep_memory()
                run(arguments)
                sys.stdout.flush()
        except (Exception, KeyboardInterrupt, Ended) as error:
            if arguments.traceback:
                traceback.print_exc()
            print(f"error: {told(error)}", file=sys.stderr)
            return code(error)
    return 0


@contextmanager
def _quiet_warnings(wanted: bool) -> Iterator[None]:
    """No warnings of the libraries below, unless `wanted`, by `python -W` or PYTHONWARNINGS too."""
    with warnings.catch_warnings():
        if not sys.warnoptions and not wanted:
            warnings.simplefilter("ignore")
        yield


@contextmanager
def _notes(verbose: bool, quiet: bool) -> Iterator[None]:
    """What flowspec logs goes to stderr, in between progress bars: warnings only where `quiet`,
    each of its kind once unless `verbose`."""
    wanted = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logger, handler = logging.getLogger("flowspec"), _Notes(wanted, every=verbose)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(wanted)
    try:
        yield
        handler.count_repeated()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Notes(logging.Handler):
    """Shows a note once, and at the end how many more of its kind there were; or `every` one,
    with the seconds since the start and where it comes from."""

    def __init__(self, level: int, *, every: bool = False):
        super().__init__(level)
        self._seen: Counter[str] = Counter()
        self._every, self._start = every, time.time()

    def emit(self, record: logging.LogRecord) -> None:
        if self._every:
            where = f"[{record.created - self._start:7.1f} s] {record.module}: "
            tqdm.write(f"{where}{record.getMessage()}", file=sys.stderr)
            return
        self._seen[str(record.msg)] += 1
        if self._seen[str(record.msg)] == 1:
            tqdm.write(f"note: {record.getMessage()}", file=sys.stderr)

    def count_repeated(self) -> None:
        for message, count in self._seen.items():
            if count > 1:
                start = message.split("%")[0].strip()
                print(f"note: {start} ...: {count - 1} more of these", file=sys.stderr)
