"""Memory that is kept when it is freed: programs ask for the same large arrays again and again.

XLA asks the C library for all arrays of a program when it starts and gives them back when it ends.
The library maps such large pieces afresh each time, and the system has to clear every page of them:
a third of the time of a training step.
"""

import ctypes
import os
import platform
from functools import cache

VARIABLE = "FLOWSPEC_MEMORY"  # "off" leaves the C library as it is
# of mallopt(3), malloc.h of the GNU C library
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_KEPT = 2**31 - 1  # bytes, the most that the option takes: what is free beyond is given back


@cache
def keep_memory() -> bool:
    """Have freed memory kept by this process, up to 2 GB, where it runs on the GNU C library.

    It does nothing for threads that have memory of their own by then: it is to be called before
    JAX computes anything.

    Returns:
        Whether it is kept.
    """
    if os.environ.get(VARIABLE, "").strip().lower() == "off" or not _is_gnu():
        return False
    option = ctypes.CDLL(None).mallopt
    # one arena, as large pieces do not fit into those of threads, and none mapped on its own
    wanted = {_ARENA_MAX: 1, _MMAP_MAX: 0, _TRIM_THRESHOLD: _KEPT}
    return all([option(name, value) == 1 for name, value in wanted.items()])


def give_back() -> None:
    """Give memory that is free back to the system."""
    if _is_gnu():
        ctypes.CDLL(None).malloc_trim(0)


def _is_gnu() -> bool:
    return platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
