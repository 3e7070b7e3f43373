"""FITS formats, as a table of (name, identify, load)."""

import numpy as np
from astropy.units import AA, Unit

from flowspec.data.units import FLUX_UNIT
from flowspec.io.columns import Format, build, column
from flowspec.io.hdus import (
    all_tables,
    column_names,
    describe,
    has,
    image,
    is_table,
    row_names,
    says_air,
    spaxels,
    table_columns,
    table_rows,
    wcs_wave,
)
from flowspec.io.iraf import IRAF_FORMATS
from flowspec.io.join import join_arms
from flowspec.io.lsf import lsf_of_bands
from flowspec.io.pipelines import PIPELINE_FORMATS
from flowspec.io.roles import find
from flowspec.io.rows import row_labels
from flowspec.io.surveys import SURVEY_FORMATS
from flowspec.io.tables import is_table_of_spectra, load_tables
from flowspec.io.units import parse_unit
from flowspec.io.wcs_images import WCS_FORMATS

MUSE_UNIT = Unit("1e-20 erg / (s cm2 AA)")
_DESI = {"wave": "WAVELENGTH", "flux": "FLUX", "ivar": "IVAR"}
SDSS_STEP = 1e-4  # of log10 wavelength


# --- SDSS and BOSS: spec and spec-lite


def _is_sdss(hdus, options):
    return "COADD" in hdus and any(has(hdu, "loglam", "flux", "ivar") for hdu in all_tables(hdus))


def _load_sdss(hdus, options):
    """Columns of COADD; `loglam` is stored in single precision, its lattice is exact."""
    hdu = hdus["COADD"]
    columns = table_columns(hdu, find(column_names(hdu), options.columns))
    if "loglam" in columns:
        loglam = np.asarray(columns["loglam"][0], np.float64)
        pixel = np.rint(loglam / SDSS_STEP)
        if (np.abs(loglam / SDSS_STEP - pixel) < 0.05).all():
            columns["loglam"] = (pixel * SDSS_STEP, None)
    unit = parse_unit(hdus[0].header.get("BUNIT"))
    return build(columns, options, names=[""], flux_unit=unit or FLUX_UNIT)


# --- DESI: coadds and spectra, arms B, R, Z on one 0.8 Å lattice


def _is_desi(hdus, options):
    return any(f"{arm}_WAVELENGTH" in hdus and f"{arm}_FLUX" in hdus for arm in _desi_arms(hdus))


def _desi_arms(hdus):
    """Every arm of which there is any image: one that is not whole is told, not left out."""
    split = [hdu.name.rpartition("_") for hdu in hdus]
    return list(dict.fromkeys(arm for arm, _, what in split if arm and what in _DESI.values()))


def _load_desi(hdus, options):
    arms = []
    for arm in _desi_arms(hdus):
        if missing := [f"{arm}_{what}" for what in _DESI.values() if f"{arm}_{what}" not in hdus]:
            raise ValueError(f"expected all of arm {arm}; got no {', '.join(missing)}")
        columns = {role: image(hdus[f"{arm}_{what}"]) for role, what in _DESI.items()}
        columns["wave"] = columns["wave"][0], columns["wave"][1] or AA
        columns |= _desi_lsf(hdus, arm, columns["wave"])
        if f"{arm}_MASK" in hdus:
            columns["mask"] = image(hdus[f"{arm}_MASK"])
        names = _desi_names(hdus, len(np.atleast_2d(columns["flux"][0])))
        arms += build(columns, options, names=names, flux_unit=FLUX_UNIT)
    return [join_arms(arms)]


def _desi_lsf(hdus, arm, wave):
    """Widths by the resolution matrices of an arm, where they fit."""
    name = f"{arm}_RESOLUTION"
    shape = hdus[name].shape if name in hdus else ()
    if len(shape) != 3 or shape[::2] != np.atleast_2d(hdus[f"{arm}_FLUX"].data).shape:
        return {}
    return {"lsf": (lsf_of_bands(hdus[name].data, np.asarray(wave[0], np.float64)), wave[1])}


def _desi_names(hdus, n):
    tables = [hdus["FIBERMAP"]] if "FIBERMAP" in hdus else []
    if tables and len(tables[0].data) != n:
        raise ValueError(f"expected FIBERMAP of {n} rows; got {len(tables[0].data)}")
    return [f"#{label}" for label in row_labels([table_rows(hdu) for hdu in tables], n)]


# --- MUSE: MPDAF spectra and cubes (DATA and its variance STAT)


def _is_muse(ndim):
    def identify(hdus, options):
        return "DATA" in hdus and "STAT" in hdus and len(hdus["DATA"].shape) == ndim

    return identify


def _load_muse(hdus, options):
    columns, air = _muse_columns(hdus, options)
    return build(columns, options, names=[""], air=air, flux_unit=MUSE_UNIT)


def _load_cube(hdus, options):
    """One row per spaxel [y, x] (those of `mask` that are True), named "#y,x"."""
    columns, air = _muse_columns(hdus, options)
    return spaxels(columns, options, air=air, flux_unit=MUSE_UNIT)


def _muse_columns(hdus, options):
    wave, unit, air = wcs_wave(hdus["DATA"].header, axis=len(hdus["DATA"].shape))
    columns = {"flux": image(hdus["DATA"]), "var": image(hdus["STAT"]), "wave": (wave, unit)}
    return columns, air


# --- JWST: NIRSpec GTO 1-D files


def _is_jades(hdus, options):
    return all(name in hdus for name in ("DATA", "ERR", "WAVELENGTH"))


def _load_jades(hdus, options):
    unit = parse_unit(hdus[0].header.get("UNIT")) or Unit("W / m3")
    columns = {"wave": image(hdus["WAVELENGTH"])}
    columns |= {"flux": image(hdus["DATA"]), "err": image(hdus["ERR"])}
    return build(columns, options, names=[""], flux_unit=unit)


# --- images named WAVE, FLUX, IVAR or the like (MaNGA, DESI stacks)


def _is_images(hdus, options):
    return _image_roles(hdus, options) is not None


def _image_roles(hdus, options):
    """Role -> name of an image, where they make a spectrum; of the user's columns, those alone
    that name images."""
    names = [hdu.name for hdu in hdus if hdu.name and not is_table(hdu) and hdu.shape]
    given = options.columns if set(options.columns.values()) <= set(names) else {}
    try:
        return find(names, given)
    except ValueError:
        return None


def _load_images(hdus, options):
    found = _image_roles(hdus, options)
    if found is None:
        raise ValueError(f"expected images WAVE, FLUX, IVAR or the like; got {describe(hdus)}")
    columns = dict(column(role, hdus[n].data, hdus[n].header.get("BUNIT"), n)
                   for role, n in found.items())  # fmt: skip
    first = hdus[found.get("wave") or found["loglam"]]
    air = options.air if options.air is not None else says_air(first, hdus[0], first.name)
    air = says_air(hdus[found["flux"]]) if air is None else air  # by its WCS
    if np.ndim(columns["flux"][0]) == 3:
        return spaxels(columns, options, air=air, found=found)
    names = row_names(columns, tables=all_tables(hdus))
    return build(columns, options, names=names, air=air, found=found)


# Tried in this order; a format of one's own is one more entry.
FITS_FORMATS = [
    Format("sdss", _is_sdss, _load_sdss),
    Format("desi", _is_desi, _load_desi),
    *PIPELINE_FORMATS,
    *SURVEY_FORMATS,
    Format("muse", _is_muse(1), _load_muse),
    Format("muse-cube", _is_muse(3), _load_cube),
    Format("jades", _is_jades, _load_jades),
    Format("images", _is_images, _load_images),
    Format("table", is_table_of_spectra, load_tables),
    *WCS_FORMATS,
    *IRAF_FORMATS,
]
