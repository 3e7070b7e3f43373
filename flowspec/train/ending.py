"""Signals to end, held back while a step is under way, so that none of what it learned is lost."""

import signal
import threading


class Ending:
    """A context in which SIGINT, SIGTERM and SIGHUP wait until they are obeyed.

    A second signal does not wait. Handlers are those of before after the block. Outside the main
    thread, which alone may handle signals, nothing is held back.

    Args:
        held: Whether to hold them back at all.

    Attributes:
        asked: Number of the signal that waits, or None.
    """

    def __init__(self, held: bool):
        self.asked: int | None = None
        self._held = held and threading.current_thread() is threading.main_thread()
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Ending":
        names = ("SIGINT", "SIGTERM", "SIGHUP") if self._held else ()
        for number in (getattr(signal, name) for name in names if name in dir(signal)):
            before = signal.getsignal(number)
            if before not in (signal.SIG_IGN, None):  # None: of another language
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def obey(self) -> None:
        """Let the signal that waits do what it would have done; one may be told to do nothing."""
        number, self.asked = self.asked, None
        if number is not None:
            self.__exit__()
            signal.raise_signal(number)
            self.__enter__()

    def _ask(self, number: int, frame) -> None:
        again, self.asked = self.asked is not None, number
        if again:
            self.obey()
