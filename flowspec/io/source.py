"""From a path to something that can be opened: existence, gzip, and what kind of file it is."""

import gzip
import zlib
from collections.abc import Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

FITS_BLOCK = 2880  # bytes; a whole FITS file is a number of these
FITS_MAGIC, HDF5_MAGIC, GZIP_MAGIC = b"SIMPLE  =", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b"
MAGIC = {"fits": FITS_MAGIC, "hdf5": HDF5_MAGIC, "parquet": b"PAR1"}
TEXT = {"text": b""}  # anything else


def sniff(
    path, kinds: Mapping[str, bytes] = MAGIC, *, content: str = "spectra"
) -> tuple[str, str | BytesIO]:
    """Kind of file by its first bytes, and what to open: its path, or the content of a gzip in
    memory.

    Args:
        path: of the file.
        kinds: kind to first bytes; by default "fits", "hdf5" and "parquet".
        content: what is expected in it, for messages.

    Raises:
        ValueError: where it is missing, no file, empty, or of no known kind.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError("expected a file; got a path that does not exist")
    if not path.is_file():
        raise ValueError("expected a file; got a directory or device")
    with path.open("rb") as file:
        head = file.read(len(FITS_MAGIC))
    source = str(path)
    if head.startswith(GZIP_MAGIC):
        source = BytesIO(_gunzip(path))
        head = source.getvalue()[: len(FITS_MAGIC)]
    if not head:
        raise ValueError(f"expected {content}; got an empty file")
    size = path.stat().st_size if isinstance(source, str) else len(source.getvalue())
    if head.startswith(FITS_MAGIC) and size % FITS_BLOCK:
        raise ValueError(f"expected a complete FITS file; got a truncated one of {size} bytes")
    for kind, magic in kinds.items():
        if head.startswith(magic):
            return kind, source
    raise ValueError(
        f"expected FITS or HDF5 (or gzip of them) or Parquet; got a file that begins {head!r}"
    )


def is_hdf5(path) -> bool:
    """Whether there is a file of that name that begins as HDF5 does: not gzipped."""
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(HDF5_MAGIC)) == HDF5_MAGIC


def _gunzip(path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"expected a complete gzip file; got: {error}") from None


@contextmanager
def blaming(path):
    """Turns whatever goes wrong while reading into one line that names the file."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: {one_line(error)}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make its reader fail in any way
        cause = f"{type(error).__name__}: {one_line(error)}"
        raise ValueError(f"{path}: expected a readable file; got {cause}") from error


def one_line(error) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split())
