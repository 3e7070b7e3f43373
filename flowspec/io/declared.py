"""What a file says that it holds, against its size: before anything is allocated for it.

A few bytes can declare any amount of data. More than 1 GB and more than 100 times the size of the
file is refused: spectra compress by 2 to 10, tables of mostly blank cells by 50.
"""

import math
import re
from io import BufferedIOBase, BytesIO
from pathlib import Path

FITS_BLOCK = 2880  # bytes; a whole FITS file is a number of these
_ROOM, _TIMES = 10**9, 100
_MOST_CARDS = 100_000  # of one HDU: mosaics of many exposures have thousands
_MOST_COLUMNS = 10_000  # of a text table: those of surveys have 1,000
_LONGEST_HEADER = 2 * 10**6  # characters of an ECSV header: 200 per column
_KEYS = rb"Z?BITPIX|[PG]COUNT|GROUPS|TFIELDS|Z?NAXIS\d{0,3}|TFORM\d{1,3}|XTENSION"
_CARD = re.compile(rb"(%b) *= *'?([^'/]*?) *['/ ]" % _KEYS)
_END = re.compile(rb"END( {0,76}[^A-Z0-9_-]|$)")  # as astropy knows it, damaged ones too
_WIDTHS = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16,
           "P": 8, "Q": 16}  # bytes of the types of columns of a FITS table


def room(size: int) -> int:
    """Bytes of data that a file of so many bytes may hold."""
    return max(_ROOM, _TIMES * size)


def check(declared: int, size: int, what: str) -> None:
    """Refuse what declares far more than a file of its size can hold.

    Args:
        declared: Bytes.
        size: Of the file, in bytes.
        what: For the message.

    Raises:
        ValueError: If it is more than 1 GB and more than 100 times the size.
    """
    if declared > room(size):
        raise ValueError(f"expected at most {room(size):.3g} bytes in a file of {size:.3g}; "
                         f"got {what} that declares {declared:.3g}")


def check_text(content: bytes) -> None:
    """Refuse a text table whose header alone would take minutes or all memory to read.

    Raises:
        ValueError: If it has too many columns, too long a header, or cells of too many numbers.
    """
    lines = content[:_LONGEST_HEADER].split(b"\n")
    header = [line for line in lines if line.lstrip().startswith(b"#")]
    first = next((line for line in lines if line.strip() and line.lstrip()[:1] != b"#"), b"")
    columns = 1 + max(first.count(mark) for mark in (b",", b"\t", b" "))
    if columns > _MOST_COLUMNS:
        raise ValueError(f"expected at most {_MOST_COLUMNS} columns; got {columns}")
    if header and b"%ECSV" in header[0]:
        if not first:
            raise ValueError(f"expected a header of less than {_LONGEST_HEADER} bytes and rows "
                             "after it; got none")
        rows = content.count(b"\n") + 1 - len(header)
        for shape in re.findall(rb"subtype:[^\[\n]*\[([^\]\n]*)\]", b"\n".join(header)):
            cell = math.prod(int(n) for n in re.findall(rb"\d{1,18}", shape))
            check(8 * cell * rows, len(content), f"a column of cells [{shape.decode()[:40]}]")


def check_fits(source: str | BytesIO) -> None:
    """Refuse a FITS file that declares more than it has, from its headers alone.

    Raises:
        ValueError: Naming the HDU and what is wrong with it.
    """
    if isinstance(source, BytesIO):
        source.seek(0)
        _check_hdus(source, len(source.getvalue()))
        source.seek(0)
    else:
        with open(source, "rb") as file:
            _check_hdus(file, Path(source).stat().st_size)


def _check_hdus(file: BufferedIOBase, size: int) -> None:
    number, end = 0, 0
    while end < size:
        file.seek(end)
        cards = _header(file, number)
        if not cards:  # whatever follows the last HDU is no part of it
            return
        declared = _declared(cards, number)
        end = file.tell() + -(-declared // FITS_BLOCK) * FITS_BLOCK
        if end > size:
            raise ValueError(f"expected a complete FITS file; got a truncated one: HDU {number} "
                             f"ends at {end:.4g} bytes of {size}")
        check(_uncompressed(cards), size, f"a compressed image in HDU {number}")
        number += 1


def _header(file: BufferedIOBase, number: int) -> dict[str, str]:
    """What a header says of sizes, none where there is no header; the file is left after it."""
    cards: dict[str, str] = {}
    for block in range(_MOST_CARDS * 80 // FITS_BLOCK):
        text = file.read(FITS_BLOCK)
        if block == 0 and text[:9] not in (b"SIMPLE  =", b"XTENSION="):
            return {}
        for start in range(0, len(text), 80):
            card = text[start : start + 80]
            if _END.match(card):
                return cards | {"END": ""}
            if match := _CARD.match(card):
                cards.setdefault(match[1].decode(), match[2].decode("latin-1"))
        if len(text) < FITS_BLOCK:
            raise ValueError(f"expected a complete FITS file; got a truncated one: the header of "
                             f"HDU {number} does not end")
    raise ValueError(f"expected at most {_MOST_CARDS} cards in a header; got more in HDU {number}")


def _number(cards: dict[str, str], key: str, default: int, least: int, number: int) -> int:
    text = cards.get(key, str(default))
    if not re.fullmatch(r"[-+]?\d{1,18}", text) or int(text) < least:
        raise ValueError(f"expected {key} of HDU {number} >= {least}; got {text!r}")
    return int(text)


def _declared(cards: dict[str, str], number: int) -> int:
    """Bytes of data of an HDU, without padding (FITS standard 4.0, equation 2)."""
    axes = _number(cards, "NAXIS", 0, 0, number)
    if axes > 999:
        raise ValueError(f"expected NAXIS of HDU {number} <= 999; got {axes}")
    shape = [_number(cards, f"NAXIS{i + 1}", 0, 0, number) for i in range(axes)]
    if cards.get("GROUPS") == "T" and shape[:1] == [0]:
        shape = shape[1:]
    bits = abs(_number(cards, "BITPIX", 8, -64, number))
    count = _number(cards, "GCOUNT", 1, 1, number)
    if cards.get("XTENSION") == "BINTABLE":
        _check_row(cards, shape, number)
    heap = _number(cards, "PCOUNT", 0, 0, number)
    return bits // 8 * count * (heap + math.prod(shape)) if shape else 0


def _check_row(cards: dict[str, str], shape: list[int], number: int) -> None:
    """Refuse columns of a table that do not fill its rows: others would be read for them."""
    fields = _number(cards, "TFIELDS", 0, 0, number)
    forms = [cards.get(f"TFORM{i + 1}", "") for i in range(min(fields, 999))]
    width = 0
    for form in forms:
        match = re.match(r"(\d{0,18})([A-Z])", form)
        repeat, kind = (int(match[1] or 1), match[2]) if match else (0, "")
        if kind != "X" and kind not in _WIDTHS:
            raise ValueError(f"expected a TFORM of a column of HDU {number}; got {form!r}")
        width += -(-repeat // 8) if kind == "X" else repeat * _WIDTHS[kind]
    if shape and width != shape[0]:
        raise ValueError(f"expected rows of NAXIS1 = {shape[0]} bytes in HDU {number}; got "
                         f"columns of {width}")


def _uncompressed(cards: dict[str, str]) -> int:
    """Bytes of an image that is stored as a table of compressed tiles; 0 of another HDU."""
    sizes = [int(text) for key, text in cards.items()
             if re.fullmatch(r"ZNAXIS\d+", key) and re.fullmatch(r"\d{1,18}", text)]
    bits = cards.get("ZBITPIX", "64").lstrip("-")
    return math.prod(sizes) * int(bits if bits.isdecimal() else 64) // 8 if sizes else 0
