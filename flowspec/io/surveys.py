"""Layouts of surveys: SDSS-V, LAMOST, VIPERS, GAMA, 6dFGS, Gaia."""

import logging

import numpy as np
from astropy.units import AA, Unit

from flowspec.data.units import FLUX_UNIT
from flowspec.io.columns import Format, build
from flowspec.io.hdus import all_tables, has, image, says_air, wcs_wave
from flowspec.io.join import join_arms
from flowspec.io.known import CGS, each, named_columns, row, spectrum

log = logging.getLogger("flowspec")


# --- SDSS-V Milky Way Mapper: mwmStar and mwmVisit, a table per instrument and observatory, a row
# per visit; wavelengths in a column or in CRVAL, CDELT, NPIXELS of log10
# (data.sdss.org/datamodel/files/MWM_ASTRA; specutils, sdss_v.py). Astra's files of models have no
# observed flux.


def _is_mwm(hdus, options):
    return "V_ASTRA" in hdus[0].header and "SDSS_ID" in hdus[0].header


def _load_mwm(hdus, options):
    names, rows = [], []
    for hdu in all_tables(hdus):
        if len(hdu.data) and has(hdu, "flux", "ivar"):
            columns = _mwm_columns(hdu, options)
            names += [f"#{hdu.name}"] * len(hdu.data)
            rows += [row(columns, i) for i in range(len(hdu.data))]
    if not rows:
        raise ValueError("expected observed spectra (flux, ivar); got models or empty tables only")
    return each(names, rows.__getitem__, options, flux_unit=FLUX_UNIT)


def _mwm_columns(hdu, options):
    roles = {"flux": "flux", "ivar": "ivar", "mask": "pixel_flags"}
    if has(hdu, "wavelength"):
        return named_columns(hdu, roles | {"wave": "wavelength"}, options)
    start, step, count = (hdu.header[card] for card in ("CRVAL", "CDELT", "NPIXELS"))
    columns = named_columns(hdu, roles, options)
    return columns | {"loglam": (start + step * np.arange(count), None)}


# --- LAMOST (www.lamost.org, "Data products" of each release): low resolution in an image of five
# rows (to DR7) or a table COADD of one row; medium resolution in arms. Vacuum; relative flux.
# ANDMASK marks pixels that are bad in all exposures; medium resolution has but ORMASK, of any.

_LAMOST_ROWS = ("flux", "ivar", "wave", "mask")


def _is_lamost(hdus, options):
    ours = str(hdus[0].header.get("TELESCOP", "")).strip() == "LAMOST"
    return ours and (len(hdus[0].shape) == 2 or bool(_lamost_arms(hdus)))


def _lamost_arms(hdus):
    return [hdu for hdu in all_tables(hdus) if hdu.name.startswith("COADD")]


def _load_lamost(hdus, options):
    log.info("fluxes of LAMOST are relative: what depends on their scale, such as mass, is not "
             "to be used")  # fmt: skip
    if len(hdus[0].shape) == 2:
        columns = {role: (hdus[0].data[i], None) for i, role in enumerate(_LAMOST_ROWS)}
        columns["wave"] = columns["wave"][0], AA
        return [spectrum(columns, options, "", flux_unit=FLUX_UNIT)]
    return [join_arms([_lamost_arm(hdu, options) for hdu in _lamost_arms(hdus)])]


def _lamost_arm(hdu, options):
    axis = {"wave": "WAVELENGTH"} if has(hdu, "wavelength") else {"loglam": "LOGLAM"}
    mask = "ANDMASK" if has(hdu, "andmask") else "ORMASK"
    roles = axis | {"flux": "FLUX", "ivar": "IVAR", "mask": mask}
    return spectrum(named_columns(hdu, roles, options), options, "", flux_unit=FLUX_UNIT)


# --- VIPERS PDR-2 (vipers.inaf.it; Scodeggio et al. 2018): air; MASK is 0 for pixels left alone


def _is_vipers(hdus, options):
    return any(has(hdu, "waves", "fluxes", "noise") for hdu in all_tables(hdus))


def _load_vipers(hdus, options):
    hdu = next(hdu for hdu in all_tables(hdus) if has(hdu, "waves", "fluxes", "noise"))
    roles = {"wave": "WAVES", "flux": "FLUXES", "err": "NOISE"}
    roles |= {"mask": "MASK"} if has(hdu, "mask") else {}
    columns = named_columns(hdu, roles, options)
    return [spectrum(columns, options, "", air=True, flux_unit=CGS)]


# --- AAOmega and 6dF images (docs.datacentral.org.au; specutils, gama.py). Wavelengths of 2dfdr are
# in air unless the header says otherwise (so too Marz, Hinton et al. 2016).


def _in_air(hdu):
    said = says_air(hdu)
    return True if said is None else said


def _is_gama(hdus, options):
    header, shape = hdus[0].header, hdus[0].shape
    return "GAMANAME" in header and "GAMA" in str(header.get("ORIGIN")) and len(shape) == 2


def _load_gama(hdus, options):
    """Rows: spectrum in 1e-17 erg/s/cm²/Å, its standard error, the same uncalibrated, sky."""
    wave, unit, _ = wcs_wave(hdus[0].header, axis=1)
    flux, error = hdus[0].data[:2]
    columns = {"wave": (wave, unit), "flux": (flux, FLUX_UNIT), "err": (error, None)}
    return build(columns, options, names=[""], air=_in_air(hdus[0]))


def _is_6dfgs(hdus, options):
    return "SPECTRUM VR" in hdus


def _load_6dfgs(hdus, options):
    """Rows of SPECTRUM VR: counts, their variance, sky, wavelength."""
    if options.flux_unit is None:
        raise ValueError("expected flux_unit= (its scale is not known); got 6dFGS counts")
    counts, variance, _, wave = image(hdus["SPECTRUM VR"])[0]
    columns = {"wave": (wave, AA), "flux": (counts, None), "var": (variance, None)}
    return [spectrum(columns, options, "", air=_in_air(hdus["SPECTRUM VR"]))]


# --- Gaia DR3 XP sampled mean spectra, a row per source (gea.esac.esa.int/archive/documentation/
# GDR3, xp_sampled_mean_spectrum): 336 to 1020 nm by 2 nm in vacuum, W/m2/nm

_GAIA_WAVE = 336.0 + 2 * np.arange(343)


def _is_gaia(hdus, options):
    return any(_is_gaia_table(hdu) for hdu in all_tables(hdus))


def _is_gaia_table(hdu):
    plain = has(hdu, "source_id", "flux", "flux_error") and not has(hdu, "wavelength")
    return plain and len(hdu.data) and hdu.data["flux"].shape[1:] == _GAIA_WAVE.shape


def _load_gaia(hdus, options):
    hdu = next(hdu for hdu in all_tables(hdus) if _is_gaia_table(hdu))
    columns = named_columns(hdu, {"flux": "flux", "err": "flux_error"}, options)
    columns["wave"] = _GAIA_WAVE, Unit("nm")
    names = [f"#{source}" for source in hdu.data["source_id"]]
    return build(columns, options, names=names, flux_unit=Unit("W / (m2 nm)"))


SURVEY_FORMATS = [
    Format("sdss-mwm", _is_mwm, _load_mwm),
    Format("lamost", _is_lamost, _load_lamost),
    Format("vipers", _is_vipers, _load_vipers),
    Format("gama", _is_gama, _load_gama),
    Format("6dfgs", _is_6dfgs, _load_6dfgs),
    Format("gaia", _is_gaia, _load_gaia),
]
