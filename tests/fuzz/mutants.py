"""Mutations of files: some of any bytes, some that know cards, columns or words."""

import re
from collections.abc import Callable

import numpy as np

HOSTILE = (b"0", b"-1", b"1", b"-32", b"65", b"999999", b"2147483648", b"9223372036854775808",
           b"1e400", b"NaN", b"-inf", b"T", b"''", b"'X'", b"'1000000000D'", b"'PD(2000000000)'",
           b"'0A'", b"'3E'", b"'16X'", b"'Jy'", b"'furlongs'", b"1.5", b"")  # fmt: skip
WORDS = (b"", b"nan", b"inf", b"-1", b"0", b"1e400", b"9" * 400, b"x", b"--", b"<0.2", b"\"", b"[",
         b"{", b"]", b"\0", b"\xff\xfe", b"#", b"# %ECSV 1.0", b"datatype", b"float64", b"int8",
         b"string", b"float64[1000000000]", b"object", b"complex128", b"&a [*a]", b"\r", b",,,,",
         b"Hbeta", b"Hbeta_err", b"\xe2\x84\xab", b"!!python/name:os", b"5000-01-01")  # fmt: skip
Rng = np.random.Generator


def mutant(content: bytes, rng: Rng) -> bytes:
    """The content after one mutation or a few."""
    for _ in range(rng.geometric(0.6)):
        content = MUTATIONS[rng.integers(len(MUTATIONS))](content, rng) or b"\0"
    return content


def _flip(content: bytes, rng: Rng) -> bytes:
    array = np.frombuffer(content, np.uint8).copy()
    for at in rng.integers(len(array), size=rng.integers(1, 17)):
        array[at] ^= 1 << rng.integers(8)
    return array.tobytes()


def _flip_early(content: bytes, rng: Rng) -> bytes:
    """In the first 2,000 bytes, where headers are."""
    return _flip(content[:2000], rng) + content[2000:]


def _truncate(content: bytes, rng: Rng) -> bytes:
    block = (1, 80, 512, 2880)[rng.integers(4)]
    return content[: rng.integers(len(content) + 1) // block * block]


def _range(content: bytes, rng: Rng) -> tuple[int, int]:
    start = int(rng.integers(len(content)))
    return start, start + int(rng.integers(1, 1 + min(len(content), 2 ** rng.integers(1, 13))))


def _blank(content: bytes, rng: Rng) -> bytes:
    start, stop = _range(content, rng)
    count = len(content[start:stop])
    fill = (b"\0", b"\xff", b" ", None)[rng.integers(4)]
    return content[:start] + (fill * count if fill else rng.bytes(count)) + content[stop:]


def _duplicate(content: bytes, rng: Rng) -> bytes:
    start, stop = _range(content, rng)
    return content[:stop] + content[start:]


def _remove(content: bytes, rng: Rng) -> bytes:
    start, stop = _range(content, rng)
    return content[:start] + content[stop:]


def _card(content: bytes, rng: Rng) -> bytes:
    """Another value of a card of a FITS header, one card fewer, or two exchanged."""
    cards = [match.start() for match in re.finditer(rb"[A-Z0-9_-]{1,8} *= ", content)
             if match.start() % 80 == 0]  # fmt: skip
    if not cards:
        return _word(content, rng)
    one, other = (cards[rng.integers(len(cards))] for _ in range(2))
    card, second = content[one : one + 80], content[other : other + 80]
    choice = rng.integers(4)
    if choice == 3:  # exchange
        content = content[:one] + second + content[one + 80 :]
        return content[:other] + card + content[other + 80 :]
    value = HOSTILE[rng.integers(len(HOSTILE))]
    new = (card[:10] + value.rjust(20), b"", b"COMMENT")[choice]
    return content[:one] + new.ljust(80)[:80] + content[one + 80 :]


def _word(content: bytes, rng: Rng) -> bytes:
    """Another word in the place of one, such as a number, a type or a name of a column."""
    words = list(re.finditer(rb"[A-Za-z0-9_.+-]+", content[:20000]))
    if not words:
        return _flip(content, rng)
    match = words[rng.integers(len(words))]
    new = WORDS[rng.integers(len(WORDS))]
    return content[: match.start()] + new + content[match.end() :]


def _line(content: bytes, rng: Rng) -> bytes:
    """A line of a text twice, or in another place."""
    lines = content.split(b"\n")
    one, other = rng.integers(len(lines), size=2)
    lines.insert(other, lines[one] if rng.integers(2) else lines.pop(one))
    return b"\n".join(lines)


MUTATIONS: tuple[Callable[[bytes, Rng], bytes], ...] = (
    _flip, _flip_early, _truncate, _blank, _duplicate, _remove, _card, _card, _word, _word, _line,
)  # fmt: skip
