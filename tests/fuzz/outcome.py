"""What becomes of a file: read to a valid object, refused in one line that names it, or a crash."""

from pathlib import Path

import numpy as np

from flowspec import io
from flowspec.data.lines import Lines
from flowspec.data.spectra import Spectra
from flowspec.posterior.files import read_model
from flowspec.posterior.load import load

READ, REFUSED = "read", "refused"


def outcome(kind: str, path: Path, whole: bytes) -> str:
    """`READ`, `REFUSED`, or what is wrong.

    Args:
        kind: Of `tests.fuzz.originals`.
        path: Of the file.
        whole: The file that it was made of.
    """
    try:
        wrong = {"spectra": _spectra, "lines": _lines, "grid": _grid, "model": _model}[kind](
            path, whole)  # fmt: skip
    except (ValueError, OSError) as error:
        text = str(error)
        good = "\n" not in text and path.name in text and text.isprintable()
        return REFUSED if good else f"message: {text!r}"
    except BaseException as error:  # whatever it is: that is the question
        return f"{type(error).__name__}: {error}"
    return wrong or READ


def _spectra(path: Path, whole: bytes) -> str:
    spectra = io.read(path)
    if path.suffix == ".h5":
        streamed = sum(len(part) for part in io.stream(path, 2))
        if streamed != len(spectra):
            return f"invalid: {streamed} rows in a stream, {len(spectra)} at once"
    return _invalid(spectra)


def _invalid(spectra: Spectra) -> str:
    wave, flux, ivar = spectra.wave, spectra.flux, spectra.ivar
    good = (
        np.isfinite(wave).all() and (wave > 0).all() and (np.diff(wave) > 0).all()
        and flux.shape == ivar.shape == (len(spectra), len(wave)) and np.isfinite(flux).all()
        and np.isfinite(ivar).all() and (ivar >= 0).all() and len(spectra.names) == len(spectra)
    )  # fmt: skip
    return "" if good else f"invalid: {spectra}"


def _lines(path: Path, whole: bytes) -> str:
    lines = io.read_lines(path)
    shape = (len(lines), len(lines.lines))
    good = isinstance(lines, Lines) and lines.flux.shape == lines.err.shape == shape
    good = good and np.isfinite(lines.flux).all() and (lines.err >= 0).all()
    return "" if good else f"invalid: {lines}"


def _grid(path: Path, whole: bytes) -> str:
    grid = io.read_grid(path)
    return "" if np.isfinite(grid.points).all() else f"invalid: {grid}"


def _model(path: Path, whole: bytes) -> str:
    """A file with a checksum is refused, or its numbers are those that were written."""
    _, arrays = read_model(path)
    load(path)
    if not path.name.startswith("checked"):
        return ""
    path.write_bytes(whole)
    _, before = read_model(path)
    same = set(arrays) == set(before) and all(np.array_equal(arrays[n], before[n]) for n in arrays)
    return "" if same else "invalid: a model with other numbers"
