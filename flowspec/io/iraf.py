"""IRAF's onedspec, equispec and multispec: spectra in one image, wavelengths in its header.

Source: IRAF's help page `specwcs` (Valdes), noao.onedspec. Bands of an image are what `apall`
extracts: spectrum, spectrum without weights, background, standard error.
"""

import re

import numpy as np
from numpy.polynomial import chebyshev, legendre

from flowspec.io.columns import Format
from flowspec.io.hdus import image, says_air
from flowspec.io.known import each
from flowspec.io.units import parse_unit

_SERIES = {1: chebyshev.chebval, 2: legendre.legval}
_REFUSED = {3: "a cubic spline", 4: "a linear spline", 5: "pixel coordinates", 6: "sampled ones"}


def _is_iraf(hdus, options):
    header = hdus[0].header
    system = re.search(r"system=(equispec|multispec)", str(header.get("WAT0_001", "")))
    ours = system or str(header.get("CTYPE1", "")).startswith("MULTISPE")
    return bool(ours and hdus[0].shape)


def _load_iraf(hdus, options):
    """A row per aperture, named by its number where there are several."""
    header, (data, unit) = hdus[0].header, image(hdus[0])
    bands = data if data.ndim == 3 else data[None, None]  # [band, aperture, pixel]
    titles = [str(header.get(f"BANDID{i + 1}", "")) for i in range(len(bands))]
    error = next((i for i, title in enumerate(titles) if title.startswith("sigma")), None)
    if error is None:
        raise ValueError("expected a band with the standard error (BANDIDn 'sigma ...'); got none")
    if not (unit or options.flux_unit):
        raise ValueError("expected a unit of flux in BUNIT, or flux_unit=; got none")
    specs, several = _specs(header), bands.shape[1] > 1
    names = [f"#{_number(header, specs, i)}" if several else "" for i in range(bands.shape[1])]

    def columns(i):
        wave = _multispec(header, specs, i) if specs else _linear(header)
        flux, sigma = bands[0, i], bands[error, i]
        return {"wave": (wave, _wave_unit(header)), "flux": (flux, unit), "err": (sigma, unit)}

    return each(names, columns, options, air=says_air(hdus[0]))


def _number(header, specs, i) -> str:
    """Number of the aperture of row `i`."""
    words = specs.get(i + 1) or str(header.get(f"APNUM{i + 1}", i + 1)).split()
    return words[0]


def _wave_unit(header):
    found = re.search(r"units=(\S+)", str(header.get("WAT1_001", "")))
    return parse_unit(found[1]) if found else None


def _pixels(header):
    """Physical pixels, in which functions are given, of the pixels of the image."""
    logical = np.arange(1, header["NAXIS1"] + 1)
    return (logical - header.get("LTV1", 0.0)) / header.get("LTM1_1", 1.0)


def _linear(header) -> np.ndarray:
    """Wavelengths that all rows have: linear, or in log10 (DC-FLAG 1)."""
    step = header.get("CD1_1", header.get("CDELT1"))
    if step is None or "CRVAL1" not in header:
        raise ValueError("expected CRVAL1 and CD1_1 in the header; got none")
    pixel = np.arange(1, header["NAXIS1"] + 1) - header.get("CRPIX1", 1.0)
    wave = header["CRVAL1"] + step * pixel
    return 10**wave if header.get("DC-FLAG", 0) == 1 else wave


def _specs(header) -> dict[int, list[str]]:
    """Row from 1 -> words of its description, from the text cut into WAT2_001, WAT2_002, ..."""
    text = "".join(f"{header[card]:68s}" for card in sorted(header["WAT2_*"]))
    return {int(n): words.split() for n, words in re.findall(r'spec(\d+)\s*=\s*"([^"]*)"', text)}


def _multispec(header, specs, i) -> np.ndarray:
    """Wavelengths of row `i`.

    Words: ap beam dtype w1 dw nw z aplow aphigh [functions]; dtype is 0 linear, 1 log10, 2 a sum of
    functions, -1 none. All are divided by 1 + z.
    """
    if i + 1 not in specs:
        raise ValueError(f"expected spec{i + 1} in the cards WAT2; got {len(specs)} of them")
    words = specs[i + 1]
    number, kind = words[0], int(words[2])
    start, step, z = (float(words[k]) for k in (3, 4, 6))
    if kind not in (0, 1, 2):
        raise ValueError(f"expected a dispersion (dtype 0, 1 or 2) of aperture {number}; got none")
    if kind == 2:
        wave = _functions(np.array(words[9:], float), _pixels(header), number)
    else:
        wave = start + step * np.arange(header["NAXIS1"])
        wave = 10**wave if kind == 1 else wave
    return wave / (1 + z)


def _functions(values, pixel, number):
    """Sum of weight (zero point + function): weight, zero point, kind, order, least and greatest
    pixel, coefficients, and so on."""
    wave = np.zeros(len(pixel))
    while len(values):
        weight, zero, kind = values[0], values[1], int(values[2])
        if kind not in _SERIES:
            raise ValueError(
                f"expected a Chebyshev or Legendre dispersion (1 or 2) of aperture {number}; "
                f"got {_REFUSED.get(kind, kind)}"
            )
        order, low, high = int(values[3]), values[4], values[5]
        scaled = (2 * pixel - (high + low)) / (high - low)
        wave += weight * (zero + _SERIES[kind](scaled, values[6 : 6 + order]))
        values = values[6 + order :]
    return wave


IRAF_FORMATS = [Format("iraf", _is_iraf, _load_iraf)]
