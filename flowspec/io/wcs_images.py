"""Images with wavelengths in their header and noise beside them: cubes, stacked rows, one row."""

import numpy as np
from astropy.units import Unit

from flowspec.io.columns import Format, build
from flowspec.io.hdus import image, is_table, row_names, says_air, spaxels, wcs_wave

_NOISE = {"ivar": ("IVAR", "INVVAR"), "var": ("VARIANCE", "VAR", "STAT"),
          "err": ("ERROR", "ERR", "STDDEV", "STD", "SIGMA", "NOISE", "UNCERT")}  # fmt: skip
_MASKS = ("BADPIX", "MASK", "DQ")
# Surveys whose headers do not say what their documents do: unit, and wavelengths in air.
# CALIFA (PMAS): Garcia-Benito et al. 2015, section 4; SAMI (AAOmega, 2dfdr): Croom et al. 2021.
_CONVENTIONS = {"PMAS": (Unit("1e-16 erg / (s cm2 AA)"), True), "SAMI": (None, True)}


def _parts(hdus):
    """The HDU of flux, role and HDU of its noise; None where there are none of one shape."""
    flux = next((hdu for hdu in hdus if not is_table(hdu) and hdu.shape), None)
    for role, names in _NOISE.items():
        for name in names:
            if flux is not None and name in hdus and hdus[name].shape == flux.shape:
                return flux, role, hdus[name]
    return None


def _is_wcs(hdus, options):
    return _parts(hdus) is not None


def _load_wcs(hdus, options):
    """A row per spaxel, named "#y,x", or per row of the image."""
    if _parts(hdus) is None:
        raise ValueError("expected an image of flux and one of its noise (IVAR, VARIANCE, ERROR)")
    flux, role, noise = _parts(hdus)
    instrument = str(hdus[0].header.get("INSTRUME", ""))
    known = (rule for name, rule in _CONVENTIONS.items() if name in instrument)
    flux_unit, in_air = next(known, (None, None))
    wave, wave_unit, _ = wcs_wave(flux.header, axis=3 if len(flux.shape) == 3 else 1)
    said = says_air(flux, hdus[0])
    air = in_air if said is None else said
    values, unit = image(flux)
    if not (unit or flux_unit or options.flux_unit):
        raise ValueError("expected a unit of flux in BUNIT, or flux_unit=; got none")
    columns = {"wave": (wave, wave_unit), "flux": (values, unit or flux_unit), role: image(noise)}
    mask = next((hdus[name] for name in _MASKS if name in hdus), None)
    if mask is not None and mask.shape == flux.shape:
        columns["mask"] = mask.data, None
    if np.ndim(values) == 3:
        return spaxels(columns, options, air=air)
    return build(columns, options, names=row_names(columns), air=air)


WCS_FORMATS = [Format("wcs", _is_wcs, _load_wcs)]
