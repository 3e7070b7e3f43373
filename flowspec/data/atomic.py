"""Files that are whole or not there: the one way in which flowspec writes."""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LONGEST = 100  # characters of a name in that of its temporary file: file systems allow 255 bytes


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name to write to, which becomes `path` when the block ends well.

    The name is hidden, in the same folder, and of this call alone, so that of two processes that
    write one file at once each ends with a whole one. Whatever ends the block early, signals that
    become exceptions included, removes the temporary file. What a process that was killed has left
    is removed by the next that writes the same file on the same machine.

    Args:
        path: The file; an existing one is replaced.

    Raises:
        OSError: Naming `path`, where it cannot be written.
    """
    path = Path(path)
    remove_abandoned(path)
    temporary = path.with_name(f"{_beginning(path)}{os.getpid()}-{secrets.token_hex(4)}"
                               f".part{path.suffix[:_LONGEST]}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with suppress(OSError):  # the cause of the end is the better message
            temporary.unlink(missing_ok=True)


def remove_abandoned(path: Path) -> None:
    """Remove temporary files of `path` whose process on this machine is no more."""
    beginning = _beginning(path)
    if os.name != "posix" or not path.parent.is_dir():  # elsewhere signal 0 is not a question
        return
    for name in os.listdir(path.parent):
        process = name.removeprefix(beginning).partition("-")[0]
        if name.startswith(beginning) and process.isdecimal() and not _runs(int(process)):
            with suppress(OSError):  # another process cleans as well
                path.with_name(name).unlink()


def _beginning(path: Path) -> str:
    """What the names of temporary files of `path` made on this machine begin with."""
    return f".{path.name[:_LONGEST]}.{socket.gethostname()[:_LONGEST]}-"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
