"""FITS tables with named columns: a pixel or a spectrum per row, an object or more per file."""

import re
from collections import Counter

import numpy as np

from flowspec.io.columns import assumed, build
from flowspec.io.hdus import all_tables, column_names, row_names, says_air, table_columns, ucds
from flowspec.io.roles import find
from flowspec.io.rows import gathered
from flowspec.io.units import parse_unit
from flowspec.io.wavelengths import sampled

_OTHER = r"(?i)(sky|tellur|model|best_?fit|template|background|bkg|lamp|flat|sens|response)"


def is_table_of_spectra(hdus, options) -> bool:
    """Whether a file has a table with columns of wavelength, flux and noise."""
    tables = all_tables(hdus)
    # Where the user named columns, tell what is wrong with them rather than with the format.
    return bool(tables and options.columns) or any(_finds(hdu, options) for hdu in tables)


def load_tables(hdus, options) -> list:
    """Every table with columns of wavelength, flux and noise (`ALIASES`), named by its EXTNAME
    where there are several. Lists of lines, whose wavelengths have no regular steps, and spectra
    of the sky, a lamp or a model beside others are passed over, and the notes say so.

    Raises:
        ValueError: where no table is a spectrum.
    """
    tables = all_tables(hdus)
    fitting = [hdu for hdu in tables if _finds(hdu, options)]
    if not fitting:
        _found(tables[0], options)  # tells what is missing
    spectra = [hdu for hdu in fitting if _is_sampled(hdu, _found(hdu, options))]
    if not spectra and not options.columns:
        hdu = fitting[0]
        raise ValueError(
            f"expected a spectrum; got table {hdu.name or '-'} with wavelengths of irregular "
            "steps: a list of lines? (columns= reads it all the same)"
        )
    spectra = [hdu for hdu in spectra if not re.match(_OTHER, hdu.name)] or spectra or fitting[:1]
    others = [f"{hdu.name or '-'} is no spectrum of the object" for hdu in fitting
              if hdu not in spectra]  # fmt: skip
    prefixes = _prefixes(spectra)
    return gathered(lambda i: _load(spectra[i], hdus[0], options, prefixes[i], others), prefixes)


def _load(hdu, primary, options, prefix, others):
    found = _found(hdu, options, primary)
    columns = table_columns(hdu, found)
    if columns["flux"][1] is None:
        columns["flux"] = columns["flux"][0], _unit_of_header(hdu, primary)
    wave = found.get("wave") or found["loglam"]
    air = options.air if options.air is not None else says_air(hdu, primary, wave)
    said = assumed(columns, found, column_names(hdu), options)
    names = row_names(columns, prefix, [hdu])
    return build(columns, options, names=names, air=air, found=found,
                 assumed=[*said, *others])  # fmt: skip


def _unit_of_header(hdu, primary):
    """The unit that a header gives for want of one of the column: BUNIT, as SDSS does."""
    headers = [hdu.header] + ([] if primary.shape else [primary.header])
    units = (parse_unit(header.get("BUNIT")) for header in headers)
    return next((unit for unit in units if unit is not None), None)


def _found(hdu, options, primary=None):
    """Role -> column of a table."""
    units = {name: hdu.columns[name].unit for name in column_names(hdu)}
    return find(column_names(hdu), options.columns, units=units, ucds=ucds(hdu),
                mask_is_good=_mask_is_good(hdu, primary))  # fmt: skip


def _finds(hdu, options) -> bool:
    try:
        return bool(_found(hdu, options))
    except ValueError:
        return False


def _mask_is_good(hdu, primary) -> bool:
    """PypeIt writes True for good pixels."""
    pypeit = primary is not None and "PYP_SPEC" in primary.header
    return pypeit or str(hdu.header.get("DMODCLS", "")).strip() == "OneSpec"


def _is_sampled(hdu, found) -> bool:
    """Whether the wavelengths of a table, or of its longest row, are those of a spectrum."""
    name = found.get("wave") or found["loglam"]
    if hdu.data is None or len(hdu.data) == 0:
        return False
    values = hdu.data[name]
    if values.ndim == 1 and values.dtype != object:
        return sampled(values)
    return sampled(max(values, key=lambda row: np.isfinite(row).sum()))


def _prefixes(spectra) -> list[str]:
    """What tells the tables of a file apart."""
    if len(spectra) == 1:
        return [""]
    count = Counter(hdu.name for hdu in spectra)
    return [
        f"#{hdu.name if hdu.name and count[hdu.name] == 1 else i}" for i, hdu in enumerate(spectra)
    ]
