"""How commands end: one line for every failure, signals, and readers that have gone away."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BAD_INPUT, SIGNAL = 2, 128  # exit codes; the number of a signal is added to the second
_REPORT = "in the issues of flowspec's repository, with what the same command says with --traceback"


class Ended(BaseException):
    """A signal to end, as an exception: whatever is half-written is removed on its way.

    Attributes:
        number: Of the signal.
    """

    def __init__(self, number: int):
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def code(error: BaseException) -> int:
    """Exit code after a failure: 2, or that of a process which a signal ended."""
    if isinstance(error, Ended):
        return SIGNAL + error.number
    return SIGNAL + signal.SIGINT if isinstance(error, KeyboardInterrupt) else BAD_INPUT


def told(error: BaseException) -> str:
    """A failure in one line; of the operating system's, file and cause."""
    text = " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return f"expected enough memory; got: {text[:200] or 'none left'}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, ValueError | OSError | ImportError | Ended):
        return text or type(error).__name__
    return (f"this is a bug in flowspec, {type(error).__name__}: {text[:300]}. Please report it "
            f"{_REPORT}")


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Raise `Ended` on SIGTERM and SIGHUP, unless they are handled or ignored already."""

    def end(number, frame):
        raise Ended(number)

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if name in dir(signal)]
    numbers = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def heedless_streams() -> Iterator[None]:
    """Let the readers of stdout and stderr leave, as `head` does, without stopping any work."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Heedless(stream) for stream in before)
    try:
        yield
    finally:
        with suppress(OSError):  # it has been told already
            sys.stdout.flush()
            sys.stderr.flush()
        sys.stdout, sys.stderr = before


class _Heedless:
    """A stream that goes on as if it were read, when its pipe is closed, or was never open."""

    def __init__(self, stream):
        self._stream = open(os.devnull, "w") if stream is None else stream  # noqa: SIM115

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._leave()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._leave()

    def _leave(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)

    def __getattr__(self, name):
        return getattr(self._stream, name)
