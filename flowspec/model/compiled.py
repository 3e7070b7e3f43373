"""Compiled programs, kept on disk: a short command is mostly compilation, the same in every run.

This is JAX's own persistent cache. Its keys tell versions of jaxlib, devices and instruction sets
of processors apart, so that machines may share a home folder.
"""

import logging
import os
import sys
import time
from functools import cache
from pathlib import Path

log = logging.getLogger("flowspec")
VARIABLE = "FLOWSPEC_CACHE"  # "off", or the folder to use
_LARGEST = 256e6  # bytes; a command has 1 to 10 MB of programs
_DAY, _MONTH = 86400.0, 30 * 86400.0  # seconds
_LONG = 1.0  # seconds of compilation that are worth a word


@cache
def keep_programs() -> Path | None:
    """Keep what JAX compiles in this process from now on, for those that come after it.

    The folder is ``flowspec`` in the user's cache, or that of the variable ``FLOWSPEC_CACHE``, of
    which "off" leaves everything to compile in each process. A cache of JAX that is configured
    already is left as it is. Without a folder that can be written to there is no cache, and no
    word about it.

    Returns:
        The folder, or None where it is not for us to say.
    """
    import jax  # here, as the command line shows its help without it

    if jax.config.jax_compilation_cache_dir is not None:
        return None
    folder = cache_folder() if jax.config.jax_enable_compilation_cache else None
    if folder is None or not _usable(folder):
        return None
    _drop_oldest(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Most of a command's programs take 10 to 100 ms to compile and one to read; JAX as it comes
    # keeps only those of over a second. Another value is the user's own.
    if jax.config.jax_persistent_cache_min_compile_time_secs == 1.0:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    _tell_when_long()
    return folder


def cache_folder() -> Path | None:
    """Where programs are kept, or None if they are not; the folder need not exist."""
    chosen = os.environ.get(VARIABLE, "").strip()
    if chosen.lower() == "off":
        return None
    own = {"darwin": "~/Library/Caches", "win32": os.environ.get("LOCALAPPDATA", "~")}
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))  # its specification: absolute, or ignored
    base = named if named.is_absolute() else Path(own.get(sys.platform, "~/.cache"))
    try:
        return (Path(chosen) if chosen else base / "flowspec").expanduser().absolute()
    except (RuntimeError, OSError):  # there is no home, or no current folder
        return None


def _usable(folder: Path) -> bool:
    """Make the folder, for its owner alone, as what is in it will be run."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def _drop_oldest(folder: Path) -> None:
    """Once a day, drop what was written a month ago and, beyond `_LARGEST`, what is used least.

    A month, so that a program of which a full disk kept a half is not compiled anew for ever.
    JAX's own bound asks for the package filelock, and for a lock around every reading.
    """
    stamp, now = folder / "last-cleaned", time.time()
    try:
        if stamp.exists() and now - stamp.stat().st_mtime < _DAY:
            return
        stamp.touch()
        files = [(file.stat(), file) for file in folder.glob("*-cache")]
        room = _LARGEST
        for about, file in sorted(files, key=lambda f: f[0].st_atime, reverse=True):
            room -= about.st_size
            if room < 0 or now - about.st_mtime > _MONTH:
                file.unlink(missing_ok=True)
    except OSError:  # another process cleans as well
        return


def _tell_when_long() -> None:
    """Log one line when a second has gone into programs that were not kept."""
    from jax import monitoring  # here, as the command line shows its help without it

    found, spent = False, 0.0

    def on_event(event: str, **_) -> None:
        nonlocal found
        found = found or event == "/jax/compilation_cache/cache_hits"

    def on_duration(event: str, seconds: float, **_) -> None:
        nonlocal found, spent
        if event != "/jax/core/compile/backend_compile_duration":
            return
        before, spent = spent, spent + (0.0 if found else seconds)
        found = False
        if before < _LONG <= spent:
            log.info("compiling (once)")

    monitoring.register_event_listener(on_event)
    monitoring.register_event_duration_secs_listener(on_duration)
