"""What the tests of layouts share: one known spectrum, and how files of it are written."""

from dataclasses import dataclass, field

import numpy as np
from astropy.io import fits

from flowspec import io

N = 300
PIXEL = np.arange(N)
WAVE = 10 ** (3.6 + 1e-4 * PIXEL)  # vacuum angstrom
FLUX = 5 + np.sin(PIXEL / 20)  # 1e-17 erg/s/cm2/A
SIGMA = 0.5 + 0.1 * np.cos(PIXEL / 30)
BAD = (PIXEL >= 100) & (PIXEL < 110)  # flagged pixels, whose flux is nonsense
SPOILED = np.where(BAD, 3000.0, FLUX)
JANSKY = WAVE**2 / 2.99792458e18 * 1e-17 / 1e-23  # of 1e-17 erg/s/cm2/A
VACUUM = "wavelengths in vacuum"


@dataclass(frozen=True)
class Known:
    """What is in a file: names after the file's, and of row i the flux (i + 1) FLUX; and what a
    reader must assume, as nothing says it."""

    names: tuple[str, ...] = ("",)
    wave: np.ndarray = field(default_factory=lambda: WAVE)
    flux: np.ndarray = field(default_factory=lambda: FLUX)
    sigma: np.ndarray = field(default_factory=lambda: SIGMA)
    good: np.ndarray = field(default_factory=lambda: ~BAD)
    options: dict = field(default_factory=dict)
    assumed: str = ""


def table(columns: dict, name="", header=(), units=()):
    """A table HDU of columns [rows] or [rows, pixels], with units by name of column."""
    units, made = dict(units), []
    for title, values in columns.items():
        values = np.asarray(values)
        kind = {"f4": "E", "f8": "D", "i2": "I", "i4": "J", "i8": "K", "b1": "L"}.get(
            values.dtype.str[1:], f"{values.dtype.itemsize // 4}A")  # fmt: skip
        count = values.shape[1] if values.ndim == 2 else ""
        made.append(fits.Column(title, f"{count}{kind}", units.get(title), array=values))
    hdu = fits.BinTableHDU.from_columns(made, name=name)
    hdu.header.update(dict(header))
    return hdu


def image(values, name=None, header=()):
    hdu = fits.ImageHDU(values, name=name)
    hdu.header.update(dict(header))
    return hdu


def write(path, *hdus, data=None, header=()):
    """A file of a primary HDU and `hdus`."""
    primary = fits.PrimaryHDU(data)
    primary.header.update(dict(header))
    fits.HDUList([primary, *hdus]).writeto(path, overwrite=True)


def check(path, known: Known, format: str):
    """What `read` gives is what is known, and by the format of that name too."""
    for options in ({}, {"format": format}):
        s = io.read(path, **known.options, **options)
        assert s.names == tuple(path.name + name for name in known.names)
        assert {note.removeprefix("assumed: ") for note in s.notes} == {known.assumed}
        assert s.wave.shape == known.wave.shape
        np.testing.assert_allclose(s.wave, known.wave, rtol=1e-7)
        for i, (flux, ivar) in enumerate(zip(s.flux, s.ivar, strict=True)):
            np.testing.assert_array_equal(ivar > 0, known.good)
            scale = (i + 1) * known.flux[known.good]
            np.testing.assert_allclose(flux[known.good], scale, rtol=1e-5)
            np.testing.assert_allclose(ivar[known.good] ** -0.5, known.sigma[known.good], rtol=1e-5)
