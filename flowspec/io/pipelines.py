"""Layouts of pipelines of instruments: PypeIt, PFS, Euclid, HST, JWST."""

import numpy as np
from astropy.units import Unit

from flowspec.data.units import FLUX_UNIT
from flowspec.io.columns import Format
from flowspec.io.hdus import all_tables, column_names, has
from flowspec.io.join import join_arms
from flowspec.io.known import CGS, each, named_columns, row, spectrum
from flowspec.io.roles import find

# --- PypeIt spec1d (pypeit.readthedocs.io, specobj): a table per object, named by its place on the
# detector; vacuum, 1e-17 erg/s/cm²/Å once flux-calibrated; True in the mask is good


def _is_pypeit(hdus, options):
    return any(has(hdu, "opt_wave") or has(hdu, "box_wave") for hdu in all_tables(hdus))


def _load_pypeit(hdus, options):
    tables = [hdu for hdu in all_tables(hdus) if has(hdu, "opt_wave") or has(hdu, "box_wave")]
    names = [f"#{hdu.name}" for hdu in tables]
    return each(names, lambda i: _pypeit_columns(tables[i], options), options, flux_unit=FLUX_UNIT)


def _pypeit_columns(hdu, options):
    """The optimal extraction, or else that in a box."""
    for kind in ("OPT", "BOX"):
        names = [f"{kind}_{name}" for name in ("WAVE", "FLAM", "FLAM_IVAR", "MASK")]
        if has(hdu, *(name.lower() for name in names)):
            roles = dict(zip(("wave", "flux", "ivar"), names, strict=False))
            return named_columns(hdu, roles, options, bad=~hdu.data[names[3]].astype(bool))
    raise ValueError("expected flux-calibrated spectra (OPT_FLAM); got counts only")


# --- Subaru PFS pfsObject and pfsSingle (github.com/Subaru-PFS/datamodel, datamodel.txt): the table
# of fluxes, nm in vacuum and nJy; the header names the bits of the mask, of which some are remarks

_PFS_TABLES = {"FLUX_TABLE", "FLUXTABLE", "FLUXTBL"}
_PFS_REMARKS = ("REFLINE", "OVERLAP", "FIBERTRACE", "DETECTED", "DETECTED_NEGATIVE")


def _is_pfs(hdus, options):
    return any(hdu.name in _PFS_TABLES for hdu in all_tables(hdus))


def _load_pfs(hdus, options):
    hdu = next(hdu for hdu in all_tables(hdus) if hdu.name in _PFS_TABLES)
    remarks = [hdu.header.get(f"MP_{name}") for name in _PFS_REMARKS]
    bits = sum(1 << bit for bit in remarks if bit is not None)
    bad = hdu.data["mask"].astype(np.int64) & ~bits
    roles = {"wave": "wavelength", "flux": "flux", "err": "error"}
    columns = named_columns(hdu, roles, options, bad=bad, wave_unit=Unit("nm"))
    return [spectrum(columns, options, "", flux_unit=Unit("nJy"))]


# --- Euclid SIR combined spectra (Euclid data product description, DpdSirCombinedSpectra): a table
# per object in vacuum, named by OBJ_ID; SIGNAL and the root of VAR in units of FSCALE. A MASK that
# is odd, or 64 and more, is not to be used (IRSA, "Euclid Q1: SIR 1D spectra").


def _is_euclid(hdus, options):
    return any(hdu.name.endswith("_COMBINED1D_SIGNAL") for hdu in all_tables(hdus))


def _load_euclid(hdus, options):
    tables = [hdu for hdu in all_tables(hdus) if hdu.name.endswith("_COMBINED1D_SIGNAL")]
    ids = _euclid_ids(hdus)
    names = [f"#{ids[hdu.name]}" for hdu in tables]
    return each(names, lambda i: _euclid_columns(tables[i], options), options)


def _euclid_columns(hdu, options):
    mask = hdu.data["MASK"].astype(np.int64)
    roles = {"wave": "WAVELENGTH", "flux": "SIGNAL", "var": "VAR"}
    columns = named_columns(hdu, roles, options, bad=(mask % 2 == 1) | (mask >= 64))
    (flux, unit), (var, _) = columns["flux"], columns["var"]
    return columns | {"flux": (flux, _euclid_unit(hdu.header, unit)), "var": (var, None)}


def _euclid_unit(header, named):
    """FSCALE times erg/s/cm²/Å, unless the column's unit has a scale of its own."""
    if named is not None and named.scale != 1:
        return named
    return Unit(header.get("FSCALE", 1.0) * CGS)


def _euclid_ids(hdus) -> dict[str, str]:
    """Name of each table of combined spectra -> OBJ_ID, which its META has, or else the number in
    its name. By one pass: to look HDUs up by name in files of thousands takes minutes."""
    headers = {hdu.name: hdu.header for hdu in hdus}
    found = {}
    for name in headers:
        number, table, _ = name.partition("_COMBINED1D_SIGNAL")
        if table:
            meta = headers.get(f"{number}_META", {})
            found[name] = str(meta.get("OBJ_ID") or headers[name].get("OBJ_ID") or number)
    return found


# --- HST x1d of STIS and COS (their data handbooks at hst-docs.stsci.edu): rows are orders, or
# segments of the detector, of one object; vacuum. Bits of SDQFLAGS in DQ are serious.

_STIS_FLAGS = 31743  # SDQFLAGS of calstis where the header has none


def _is_hst(hdus, options):
    header = hdus[0].header
    known = str(header.get("INSTRUME")).strip() in ("STIS", "COS")
    return known and any(has(hdu, "wavelength", "flux", "error") for hdu in all_tables(hdus))


def _load_hst(hdus, options):
    arms = []
    for hdu in all_tables(hdus):
        if has(hdu, "wavelength", "flux", "error"):
            flags = hdu.header.get("SDQFLAGS", _STIS_FLAGS)
            bad = hdu.data["DQ"].astype(np.int64) & flags if has(hdu, "dq") else None
            roles = {"wave": "WAVELENGTH", "flux": "FLUX", "err": "ERROR"}
            columns = named_columns(hdu, roles, options, bad=bad)
            rows = (row(columns, i) for i in range(len(hdu.data)))
            arms += [spectrum(one, options, "", flux_unit=CGS) for one in rows]
    return [join_arms(arms)]


# --- JWST x1d and c1d (jwst-pipeline.readthedocs.io, "Science products"), and high-level products
# with other EXTRACT tables: a table per source, or (WFSS, from build 12 on) a row per source padded
# with NaN. Bit 0 of DQ is DO_NOT_USE, the others are remarks.


def _jwst_tables(hdus):
    tables = [hdu for hdu in all_tables(hdus) if hdu.name.startswith(("EXTRACT", "COMBINE1D"))]
    sources = [hdu for hdu in tables if hdu.name in ("EXTRACT1D", "COMBINE1D")]
    return sources or tables[:1]


def _is_jwst(hdus, options):
    return bool(_jwst_tables(hdus))


def _load_jwst(hdus, options):
    tables, names, rows = _jwst_tables(hdus), [], []
    for i, hdu in enumerate(tables):
        bad = hdu.data["dq"].astype(np.int64) & 1 if has(hdu, "dq") else None
        columns = named_columns(hdu, find(column_names(hdu), options.columns), options, bad=bad)
        if np.ndim(columns["flux"][0]) == 1:
            names.append(f"#{hdu.header.get('SOURCEID', i)}" if len(tables) > 1 else "")
            rows.append(columns)
        else:
            count = len(hdu.data)
            sources = hdu.data["source_id"] if has(hdu, "source_id") else range(count)
            names += [f"#{source}" for source in sources]
            rows += [row(columns, k) for k in range(count)]
    return each(names, rows.__getitem__, options)


# Those first that are known by names of HDUs: files of thousands of tables are not looked into.
PIPELINE_FORMATS = [
    Format("euclid", _is_euclid, _load_euclid),
    Format("jwst", _is_jwst, _load_jwst),
    Format("pfs", _is_pfs, _load_pfs),
    Format("hst", _is_hst, _load_hst),
    Format("pypeit", _is_pypeit, _load_pypeit),
]
