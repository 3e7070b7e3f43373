"""What spectra, lines and vectors have in common: rows with names and notes."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from flowspec.data.extra import Extra


@runtime_checkable
class Observation(Protocol):
    """A batch of observed objects, a row each, held on the host.

    Attributes:
        names: One label per row.
        notes: One per row: "" or what is wrong with it.
        extra: Labels that are carried along to the table, by name of column.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...]
    extra: Extra

    def __len__(self) -> int: ...

    def __getitem__(self, index) -> "Observation":
        """Rows by number, slice, mask or list of numbers."""

    @property
    def usable(self) -> np.ndarray:
        """Whether each row has any data [batch]."""

    @property
    def snr(self) -> np.ndarray:
        """Median signal-to-noise ratio of each row, 0 where there is no data [batch]."""


def labels(given: Sequence, default: Sequence[str], what: str) -> tuple[str, ...]:
    """The `given` labels of rows as text, or the `default` ones where none are given.

    Raises:
        ValueError: naming `what`, where there is not one per row.
    """
    found = tuple(str(x) for x in given) or tuple(default)
    if len(found) != len(default):
        raise ValueError(f"expected {len(default)} {what}, one per row; got {len(found)}")
    return found


def blocks(rows: int, most: int) -> Iterator[np.ndarray]:
    """Numbers of all rows, at most so many at a time.

    All blocks are of one size, for one compiled program: the last row stands in for those that the
    last block lacks, so that results want to be cut to the number of rows. Sizes are multiples of
    an eighth of a power of two: few programs to compile, little waste.

    Raises:
        ValueError: If there is no row.
    """
    if rows == 0:
        raise ValueError("expected at least one row; got none")
    size = padded(min(most, rows))
    for start in range(0, rows, size):
        yield np.minimum(np.arange(start, start + size), rows - 1)


def padded(count: int) -> int:
    """The next multiple of an eighth of a power of two."""
    step = max(1, (1 << (count - 1).bit_length()) // 8)
    return -(-count // step) * step
