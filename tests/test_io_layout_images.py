"""Images of surveys, cubes and IRAF: one generated file of each layout, with known answers.

The sources of the layouts are named beside their readers in `flowspec.io`.
"""

import numpy as np
import pytest
from layouts import BAD, FLUX, PIXEL, SIGMA, SPOILED, VACUUM, WAVE, Known, N, check, image, write
from numpy.polynomial import chebyshev, legendre

from flowspec import io

LINEAR = 4000 + 1.5 * PIXEL
SPAXELS = ("#0,0", "#0,1", "#1,0", "#1,1")


def stacked(values, scales=(1, 2, 3, 4)):
    """[pixels, 2, 2] of which spaxel i, row by row, is `scales`[i] times `values`."""
    return (np.asarray(values)[:, None] * np.asarray(scales, float)).reshape(-1, 2, 2)


def wcs(axis, start=4000.0, step=1.5, kind="WAVE", **more):
    cards = {f"CRVAL{axis}": start, f"CRPIX{axis}": 1.0, f"CDELT{axis}": step}
    cards |= {f"CTYPE{axis}": kind, f"CUNIT{axis}": "Angstrom"}
    return {k: v for k, v in cards.items() if v is not None} | more


def linear(air=False):
    return io.air_to_vacuum(LINEAR) if air else LINEAR


def lamost_old(path):
    """Rows of the primary image: flux, inverse variance, wavelength, AND and OR mask."""
    data = np.stack([SPOILED, SIGMA**-2, WAVE, BAD * 32, np.full(N, 8)])
    write(path, data=data, header={"TELESCOP": "LAMOST", "CRVAL1": 3.6, "CD1_1": 1e-4})
    return Known()


def gama(path):
    """Rows of the primary image: spectrum, its error, both uncalibrated, sky; 2dfdr is in air."""
    bad = np.where(BAD, np.nan, FLUX)
    data = np.stack([bad, SIGMA, 100 * bad, 100 * SIGMA, np.ones(N)])
    header = {"ORIGIN": "GAMA", "GAMANAME": "GAMAJ115", "CTYPE1": "Wavelength", "CRVAL1": 4000.0,
              "CRPIX1": 1.0, "CD1_1": 1.5, "CUNIT1": "Angstroms", "ROW1": "Spectrum"}
    write(path, data=data, header=header)  # fmt: skip
    return Known(wave=linear(air=True))


def sixdf(path):
    """Counts: rows of spectrum, variance, sky and wavelength in air."""
    data = np.stack([np.where(BAD, np.nan, FLUX), SIGMA**2, np.ones(N), io.vacuum_to_air(WAVE)])
    one = image(data[:3, :150], "SPECTRUM V")
    write(path, image(np.ones((9, 9)), "J"), one, image(data[:3, 150:], "SPECTRUM R"),
          image(data, "SPECTRUM VR", {"OBSRA": 10.0, "Z_HELIO": 0.03}))  # fmt: skip
    return Known(options={"flux_unit": "1e-17 erg/s/cm2/A"})


def manga_cube(path):
    unit = "1E-17 erg/s/cm^2/Ang/spaxel"
    mask = np.where(stacked(BAD) > 0, 1024, 0).astype("i4")
    flux = image(stacked(SPOILED), "FLUX", {"BUNIT": unit, "CTYPE3": "WAVE-LOG"})
    write(path, flux, image(stacked(SIGMA**-2, np.ones(4)), "IVAR"), image(mask, "MASK"),
          image(WAVE, "WAVE", {"BUNIT": "Angstrom"}), header={"TELESCOP": "SDSS 2.5-M"})
    return Known(SPAXELS)  # fmt: skip


def manga_rss(path):
    unit = "1E-17 erg/s/cm^2/Ang/fiber"
    flux = image(np.stack([SPOILED, 2 * SPOILED]), "FLUX", {"BUNIT": unit, "CTYPE1": "WAVE-LOG"})
    write(path, flux, image(np.stack([SIGMA**-2] * 2), "IVAR"),
          image(np.stack([BAD * 4] * 2), "MASK"), image(WAVE, "WAVE", {"BUNIT": "Angstrom"}),
          header={"TELESCOP": "SDSS 2.5-M"})  # fmt: skip
    return Known(("#0", "#1"))


def califa(path, three=True):
    """1e-16 erg/s/cm2/A by convention, in air; BADPIX 1: bad, with an error of 1e10."""
    def shaped(values, scales):
        cube = stacked(values, scales)
        return cube if three else cube.reshape(N, 4).T

    ones = np.ones(4)
    error = np.where(shaped(BAD, ones) > 0, 1e10, shaped(SIGMA / 10, ones))
    write(path, image(error, "ERROR"), image(shaped(SIGMA, ones), "ERRWEIGHT"),
          image((shaped(BAD, ones) > 0).astype("u1"), "BADPIX"),
          data=shaped(SPOILED / 10, (1, 2, 3, 4)),
          header=wcs(3 if three else 1, kind=None) | {"INSTRUME": "PMAS", "OBJECT": "NGC1"})
    names = SPAXELS if three else tuple(f"#{i}" for i in range(4))  # fmt: skip
    return Known(names, linear(air=True))


def sami(path):
    """1e-16 and per pixel in its unit, NaN for no data; 2dfdr is in air."""
    unit = "10**(-16) erg /s /cm**2 /angstrom /pixel"
    bad = np.where(stacked(BAD) > 0, np.nan, stacked(SPOILED / 10))
    write(path, image(stacked((SIGMA / 10) ** 2, np.ones(4)), "VARIANCE"), image(bad, "WEIGHT"),
          image(np.ones((3, 3)), "COVAR"), data=bad,
          header=wcs(3, kind="Wavelength", INSTRUME="AAOMEGA-SAMI", BUNIT=unit))  # fmt: skip
    return Known(SPAXELS, linear(air=True))


def sami_aperture(path):
    unit = "10**(-16) erg /s /cm**2 /angstrom"
    write(path, image((SIGMA / 10) ** 2, "VARIANCE"), image(np.ones((5, 5)), "BIN_MASK"),
          data=np.where(BAD, np.nan, FLUX / 10),
          header=wcs(1, kind="AWAV", INSTRUME="AAOMEGA-SAMI", BUNIT=unit))  # fmt: skip
    return Known(wave=linear(air=True))


def muse(path):
    unit = "10**(-20)*erg/s/cm**2/Angstrom"
    data = np.where(stacked(BAD) > 0, np.nan, stacked(SPOILED * 1e3))
    write(path, image(data, "DATA", wcs(3, kind="AWAV", BUNIT=unit)),
          image(stacked((SIGMA * 1e3) ** 2, np.ones(4)), "STAT", {"BUNIT": f"({unit})**2"}))
    return Known(SPAXELS, linear(air=True))  # fmt: skip


# --- IRAF: the bands of apall, and wavelengths of many kinds


def bands(n=1):
    """[band, aperture, pixels]: spectrum, without weights, sky, and its standard error."""
    bad = np.where(BAD, np.nan, FLUX) * 1e-17
    spectrum = np.arange(1, n + 1)[:, None] * bad
    return np.stack([spectrum, spectrum * 1.1, spectrum, np.tile(SIGMA * 1e-17, (n, 1))])


BANDS = {"BANDID1": "spectrum - background fit, weights variance, clean no", "BANDID2": "raw - "
         "background fit, weights none, clean no", "BANDID3": "background - background fit",
         "BANDID4": "sigma - background fit, weights variance, clean no",
         "BUNIT": "erg/cm2/s/A"}  # fmt: skip


def onedspec(log):
    def make(path):
        header = {"CTYPE1": "LINEAR", "CRVAL1": 3.6 if log else 4000.0, "CRPIX1": 1.0,
                  "CD1_1": 1e-4 if log else 1.5, "DC-FLAG": int(log), "WCSDIM": 3,
                  "WAT0_001": "system=equispec", "WAT1_001": "wtype=linear label=Wavelength "
                  "units=angstroms", "APNUM1": "7 1"}  # fmt: skip
        write(path, data=bands(), header=BANDS | header)
        return Known(wave=WAVE if log else LINEAR, assumed=VACUUM)
    return make


def cards(specs):
    """WAT2_nnn cards of 68 characters, as IRAF cuts the text anywhere."""
    text = "wtype=multispec " + " ".join(f'spec{i + 1} = "{s}"' for i, s in enumerate(specs))
    pieces = [text[i : i + 68] for i in range(0, len(text), 68)]
    return {f"WAT2_{i + 1:03d}": piece for i, piece in enumerate(pieces)}


def multispec(solution, wave, n=2):
    def make(path):
        specs = [f"{7 + i} 1 {solution} {20 + i}.5 {30 + i}.5" for i in range(n)]
        if "|" in solution:  # with a function, which follows the limits of the aperture
            start, function = solution.split("|")
            specs = [f"{7 + i} 1 {start} {20 + i}.5 {30 + i}.5 {function}" for i in range(n)]
        header = {"CTYPE1": "MULTISPE", "CTYPE2": "MULTISPE", "WCSDIM": 3,
                  "WAT0_001": "system=multispec", "WAT1_001": "wtype=multispec label=Wavelength "
                  "units=angstroms"}  # fmt: skip
        write(path, data=bands(n), header=BANDS | header | cards(specs))
        return Known(("#7", "#8")[:n], wave, assumed=VACUUM)
    return make


COEFFICIENTS = [4225.0, 224.0, 3.0, -0.5]
SCALED = (2 * (PIXEL + 1) - (N + 1)) / (N - 1)  # pixels 1 to N as -1 to 1
NUMBERS = " ".join(f"{c:.16g}" for c in COEFFICIENTS)
FUNCTION = f"2 4000.0 1.5 {N} 0.|1.0 0. {{}} 4 1.0 {N}.0 {NUMBERS}"

LAYOUTS = {
    "LAMOST low resolution, old": ("lamost", lamost_old),
    "GAMA": ("gama", gama),
    "6dFGS": ("6dfgs", sixdf),
    "MaNGA cube": ("images", manga_cube),
    "MaNGA row-stacked": ("images", manga_rss),
    "CALIFA cube": ("wcs", califa),
    "CALIFA row-stacked": ("wcs", lambda path: califa(path, three=False)),
    "SAMI cube": ("wcs", sami),
    "SAMI aperture": ("wcs", sami_aperture),
    "MUSE cube": ("muse-cube", muse),
    "IRAF onedspec": ("iraf", onedspec(log=False)),
    "IRAF onedspec, log": ("iraf", onedspec(log=True)),
    "IRAF multispec, linear": ("iraf", multispec(f"0 4000.0 1.5 {N} 0.", LINEAR)),
    "IRAF multispec, log": ("iraf", multispec(f"1 3.6 1e-4 {N} 0.", WAVE)),
    "IRAF multispec, shifted": (
        "iraf", multispec(f"0 4400.0 1.65 {N} 0.1", LINEAR)),
    "IRAF multispec, Chebyshev": (
        "iraf", multispec(FUNCTION.format(1), chebyshev.chebval(SCALED, COEFFICIENTS))),
    "IRAF multispec, Legendre": (
        "iraf", multispec(FUNCTION.format(2), legendre.legval(SCALED, COEFFICIENTS))),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout(layout, tmp_path):
    format, make = LAYOUTS[layout]
    path = tmp_path / "spectrum.fits"
    check(path, make(path), format)
