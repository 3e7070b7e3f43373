"""FITS formats, as a table of (name, identify, load)."""

import numpy as np
from astropy.units import Unit

from flowspec.data.spectra import Spectra
from flowspec.io.columns import Format, build, find, parse_unit
from flowspec.io.hdus import (
    all_tables,
    column_names,
    has,
    image,
    is_table,
    row_names,
    says_air,
    spaxels,
    table_columns,
    wcs_wave,
)

MUSE_UNIT = Unit("1e-20 erg / (s cm2 AA)")
SDSS_STEP = 1e-4  # of log10 wavelength


# --- SDSS and BOSS: spec and spec-lite


def _is_sdss(hdus, options):
    return any(has(hdu, "loglam", "flux", "ivar") for hdu in all_tables(hdus)) and "COADD" in hdus


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
    return build(columns, options, names=[""], **({} if unit is None else {"flux_unit": unit}))


# --- DESI: coadds and spectra, arms B, R, Z on one 0.8 Å lattice


def _is_desi(hdus, options):
    return bool(_desi_arms(hdus))


def _desi_arms(hdus):
    arms = [hdu.name.removesuffix("_WAVELENGTH") for hdu in hdus if "_WAVELENGTH" in hdu.name]
    return [arm for arm in arms if f"{arm}_FLUX" in hdus and f"{arm}_IVAR" in hdus]


def _load_desi(hdus, options):
    arms = []
    for arm in _desi_arms(hdus):
        columns = {
            role: image(hdus[f"{arm}_{name}"])
            for role, name in (("wave", "WAVELENGTH"), ("flux", "FLUX"), ("ivar", "IVAR"))
        }
        if f"{arm}_MASK" in hdus:
            columns["mask"] = image(hdus[f"{arm}_MASK"])
        names = _desi_names(hdus, len(np.atleast_2d(columns["flux"][0])))
        arms += build(columns, options, names=names)
    return [join_arms(arms)]


def _desi_names(hdus, n):
    if "FIBERMAP" in hdus and has(hdus["FIBERMAP"], "targetid"):
        targets = hdus["FIBERMAP"].data["TARGETID"]
        if len(targets) == n:
            return [f"#{target}" for target in targets]
    return [f"#{i}" for i in range(n)]


def join_arms(arms: list[Spectra]) -> Spectra:
    """One Spectra of several arms of the same objects: where arms overlap, the mean weighted by
    inverse variance. Arms are resampled only where their pixels do not coincide."""
    wave = _arm_grid([arm.wave for arm in arms])
    weight = np.zeros((len(arms[0]), len(wave)))
    total = np.zeros_like(weight)
    for arm in arms:
        arm = arm.resample(wave)
        weight += arm.ivar
        total += arm.ivar * arm.flux.astype(np.float64)
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return Spectra(wave, mean, weight, names=arms[0].names)


def _arm_grid(waves):
    """The pixels of the bluest arm, then of each redder one those beyond what is covered."""
    waves = sorted(waves, key=lambda w: w[0])
    grid = waves[0]
    for wave in waves[1:]:
        beyond = wave > grid[-1] + 0.5 * (grid[-1] - grid[-2])
        grid = np.concatenate([grid, wave[beyond]])
    return grid


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


# --- JWST x1d (and high-level products with EXTRACT* tables), NIRSpec GTO 1-D files


def _is_jwst(hdus, options):
    return any(hdu.name.startswith("EXTRACT") for hdu in all_tables(hdus))


def _load_jwst(hdus, options):
    """All EXTRACT1D tables (one per source), or else the first other extraction."""
    tables = [hdu for hdu in all_tables(hdus) if hdu.name.startswith("EXTRACT")]
    sources = [hdu for hdu in tables if hdu.name == "EXTRACT1D"] or tables[:1]
    spectra = []
    for i, hdu in enumerate(sources):
        columns = table_columns(hdu, find(column_names(hdu), options.columns))
        if has(hdu, "dq"):  # bit 0 is DO_NOT_USE; the others are remarks
            columns.setdefault("mask", (hdu.data["dq"].astype(int) & 1, None))
        prefix = f"#{i}" if len(sources) > 1 else ""
        spectra += build(columns, options, names=row_names(columns, prefix))
    return spectra


def _is_jades(hdus, options):
    return all(name in hdus for name in ("DATA", "ERR", "WAVELENGTH"))


def _load_jades(hdus, options):
    unit = parse_unit(hdus[0].header.get("UNIT")) or Unit("W / m3")
    columns = {"wave": image(hdus["WAVELENGTH"])}
    columns |= {"flux": image(hdus["DATA"]), "err": image(hdus["ERR"])}
    return build(columns, options, names=[""], flux_unit=unit)


# --- images named WAVE, FLUX, IVAR (MaNGA, DESI stacks), and tables with named columns


def _is_images(hdus, options):
    return all(name in hdus and not is_table(hdus[name]) for name in ("WAVE", "FLUX", "IVAR"))


def _load_images(hdus, options):
    present = [name for name in ("WAVE", "FLUX", "IVAR", "MASK") if name in hdus]
    columns = {name.lower(): image(hdus[name]) for name in present}
    if np.ndim(columns["flux"][0]) == 3:
        return spaxels(columns, options)
    return build(columns, options, names=row_names(columns), air=says_air(hdus["WAVE"]))


def _is_table_of_spectra(hdus, options):
    tables = all_tables(hdus)
    # Where the user named columns, tell what is wrong with them rather than with the format.
    return bool(tables and options.columns) or any(_finds(hdu, options) for hdu in tables)


def _finds(hdu, options):
    try:
        return find(column_names(hdu), options.columns)
    except ValueError:
        return None


def _load_table(hdus, options):
    """The first table with columns of wavelength, flux and noise (`ALIASES`): one pixel per row,
    or one spectrum per row with array columns."""
    tables = all_tables(hdus)
    hdu = next((hdu for hdu in tables if _finds(hdu, options)), tables[0])
    found = find(column_names(hdu), options.columns)
    columns = table_columns(hdu, found)
    return build(columns, options, names=row_names(columns), air=says_air(hdu))


# Tried in this order; a format of one's own is one more entry.
FITS_FORMATS = [
    Format("sdss", _is_sdss, _load_sdss),
    Format("desi", _is_desi, _load_desi),
    Format("muse", _is_muse(1), _load_muse),
    Format("muse-cube", _is_muse(3), _load_cube),
    Format("jwst", _is_jwst, _load_jwst),
    Format("jades", _is_jades, _load_jades),
    Format("images", _is_images, _load_images),
    Format("table", _is_table_of_spectra, _load_table),
]
