"""Types of arguments of the command line: text in, a value or one line of error out."""

import argparse


def whole(least: int, most: int = 10**15):
    """A type of argument: a whole number from `least` to `most`."""

    def number(text: str) -> int:
        short = text.isdecimal() and len(text) <= 20  # Python reads no thousands of digits
        if not short or not least <= int(text) <= most:
            bound = f" and <= {most}" if short and int(text) > most else ""
            raise argparse.ArgumentTypeError(
                f"expected a whole number >= {least}{bound}; got {text[:40]!r}")
        return int(text)

    return number


def positive(text: str) -> float:
    """A type of argument: a number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0; got {text!r}")
    return value


def column(text: str) -> tuple[str, str]:
    """A type of argument: the role of a column and its name."""
    role, equals, name = text.partition("=")
    if not (role and equals and name):
        raise argparse.ArgumentTypeError(f"expected ROLE=NAME, as in err=SIGMA; got {text!r}")
    return role, name


def total(text: str) -> dict[str, str]:
    """A type of argument: a column of magnitudes, perhaps one of their errors, and their band.

    Returns:
        Band, and perhaps ``<band>_err``, to columns, as `Posterior.summarize` takes them.
    """
    *columns, band = text.split(":")
    if len(columns) not in (1, 2) or not all((band, *columns)):
        raise argparse.ArgumentTypeError(
            f"expected COLUMN:BAND or COLUMN:ERROR:BAND, as in PETRO_I:sdss_i; got {text!r}")
    return dict(zip((band, f"{band}_err"), columns, strict=False))
