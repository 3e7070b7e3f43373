"""From a path to something that can be opened: existence, gzip, and what kind of file it is."""

import gzip
import zlib
from collections.abc import Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from flowspec.io.declared import FITS_BLOCK, check

FITS_MAGIC, HDF5_MAGIC, GZIP_MAGIC = b"SIMPLE  =", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b"
MAGIC = {"fits": FITS_MAGIC, "hdf5": HDF5_MAGIC, "parquet": b"PAR1"}
TEXT = {"text": b""}  # anything else
_PART, _LITTLE = 2**24, 2**8  # bytes of a gzip at once, unpacked and packed: 250 kB of zeros
_GZIP = 31  # of zlib: with the header of a gzip
_MUCH, _DENSEST = 100, 1032  # times the size of a gzip: suspicious; what deflate reaches


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
    packed = head.startswith(GZIP_MAGIC)
    if packed:
        head = _unpacked_head(path)
    if not head:
        raise ValueError(f"expected {content}; got an empty file")
    kind = next((kind for kind, magic in kinds.items() if head.startswith(magic)), None)
    if kind is None:
        raise ValueError(
            f"expected FITS or HDF5 (or gzip of them) or Parquet; got a file that begins {head!r}"
        )
    source = gunzipped(path) if packed else str(path)
    size = len(source.getvalue()) if packed else path.stat().st_size
    if head.startswith(FITS_MAGIC) and size % FITS_BLOCK:
        raise ValueError(f"expected a complete FITS file; got a truncated one of {size} bytes")
    return kind, source


def is_hdf5(path) -> bool:
    """Whether there is a file of that name that begins as HDF5 does: not gzipped."""
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(HDF5_MAGIC)) == HDF5_MAGIC


def is_parquet(path) -> bool:
    """Whether there is a file of that name that begins as Parquet does: not gzipped."""
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC["parquet"])) == MAGIC["parquet"]


def _unpacked_head(path) -> bytes:
    """First bytes of the content of a gzip: what is of no kind is not unpacked any further."""
    with _whole_gzip(), gzip.open(path) as file:
        return file.read(len(FITS_MAGIC))


def gunzipped(path) -> BytesIO:
    """The content of a gzip, no more than a file of its size may hold.

    Raises:
        ValueError: Where it is damaged, or unpacks to more.
    """
    size, content = Path(path).stat().st_size, BytesIO()
    with _whole_gzip():
        _check_gzip(path, size)
        with gzip.open(path) as file:
            while part := file.read(_PART):
                content.write(part)
                check(content.tell(), size, "a gzip")
    content.seek(0)
    return content


@contextmanager
def _whole_gzip():
    """Turns what a damaged gzip raises into one line."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"expected a complete gzip file; got: {error}") from None


def _check_gzip(path, size: int) -> None:
    """Look at the size that a gzip ends with (RFC 1952: of its last member, modulo 2^32 bytes).
    Then count what it unpacks to, and keep nothing, while it is far more than what is read."""
    packed, total, unpacker = 0, 0, zlib.decompressobj(_GZIP)
    with open(path, "rb") as file:
        file.seek(max(size - 4, 0))
        said = int.from_bytes(file.read(4), "little")
        if said > _DENSEST * size:
            raise EOFError(f"an end that says {said:.3g} bytes in a file of {size:.3g}")
        check(said, size, "a gzip (or a part of one)")
        file.seek(0)
        while (part := file.read(_LITTLE)) and total >= _MUCH * packed:
            packed += len(part)
            while part:
                total += len(unpacker.decompress(part))
                part = unpacker.unused_data
                if unpacker.eof:
                    unpacker = zlib.decompressobj(_GZIP)
            check(total, size, "a gzip")


@contextmanager
def blaming(path):
    """Turns whatever goes wrong while reading into one line that names the file."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: {one_line(error)}") from error
    except MemoryError as error:
        cause = one_line(error) or "out of memory"
        raise ValueError(f"{path}: expected a file that fits into memory; got: {cause}") from error
    except Exception as error:  # a damaged file can make its reader fail in any way
        cause = f"{type(error).__name__}: {one_line(error)}"
        raise ValueError(f"{path}: expected a readable file; got {cause}") from error


def one_line(error) -> str:
    """The message of an error without line breaks, and other bytes than text written out."""
    text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
