"""`read`: files of any known format to one `Spectra`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import astropy.units as u

from flowspec.data.spectra import Spectra
from flowspec.data.units import to_angstrom
from flowspec.io import hdf5, hdus, parquet
from flowspec.io.fits import FITS_FORMATS
from flowspec.io.hdf5 import HDF5_FORMATS
from flowspec.io.join import common_grid, joined
from flowspec.io.labels import fits_labels, with_labels
from flowspec.io.lsf import with_power
from flowspec.io.options import Options, make_options
from flowspec.io.parquet import PARQUET_FORMATS
from flowspec.io.paths import expanded
from flowspec.io.rows import no_data, without_padding
from flowspec.io.source import blaming, sniff

_OPENERS = {
    "fits": (hdus, FITS_FORMATS),
    "hdf5": (hdf5, HDF5_FORMATS),
    "parquet": (parquet, PARQUET_FORMATS),
}


def read(
    path,
    *,
    format: str | None = None,
    wave=None,
    columns: Mapping[str, str] | None = None,
    flux_unit: str | u.UnitBase | None = None,
    wave_unit: str | u.UnitBase | None = None,
    air: bool | None = None,
    mask=None,
    keep: Sequence[str] = (),
    resolving_power: float | None = None,
) -> Spectra:
    """Read spectra from files.

    The content decides of which format a file is, or `format` names one; any may be gzipped. FITS
    of SDSS, DESI, LAMOST, GAMA, VIPERS, Gaia, MUSE, MaNGA, CALIFA, SAMI, PypeIt, PFS, Euclid, HST,
    JWST, IRAF and others by their layouts; any FITS table, HDF5 or Parquet with columns named as in
    `flowspec.io.roles`. The list is in docs/data-formats.md.

    Of many files with different grids, the result is on the union of their pixels where these
    coincide (SDSS), else all are resampled to the first grid, extended to cover the others. A
    file (or row) that cannot be read among others that can is a row of masked pixels whose reason
    is in `notes`. Ends padded with a constant (`padded_ends`) are no data.

    Args:
        path: one path, glob pattern or folder, or a list of them.
        format: name of a format.
        wave: [pixels] Å or a quantity: a grid to resample everything to.
        columns: name of the column for any of `wave`, `loglam`, `flux`, `ivar`, `var`, `err`,
            `mask` (non-zero: no data), `good` (zero: no data), `lsf` (sigma, km/s if without a
            unit), in tables, images and HDF5 files that name them unusually.
        flux_unit: of flux and its errors, such as "1e-18 erg/s/cm2/A"; for files that do not name
            it (default 1e-17 erg/s/cm²/Å) or name it wrongly.
        wave_unit: of wavelengths, likewise (default Å).
        air: whether wavelengths are in air; by default what the file says, else vacuum.
        mask: [y, x] the spaxels of a cube to read (True or non-zero: read).
        keep: names of columns of numbers, one per row, to carry along in `extra`, such as a total
            magnitude; in a header too, of a file of one object. Masked where another file has it.
        resolving_power: λ / FWHM of all spectra, for `Spectra.lsf`, whatever files say of it.

    Returns:
        Spectra with vacuum wavelengths. Names are file names, with "#row" where there are more;
        `extra` has coordinates, identifiers, and the archive's own redshift and class, where the
        file has them.

    Raises:
        ValueError: in one line naming file and cause, where no file can be read.
    """
    options = make_options(columns, flux_unit, wave_unit, air, mask, keep, resolving_power)
    _check_format(format)
    paths = _expanded(path)
    labels = _file_labels(paths)
    parts: list[list[Spectra] | ValueError] = []
    for one, label in zip(paths, labels, strict=True):
        try:
            parts.append([_labelled(s, label) for s in load(one, format, options)[1]])
        except ValueError as error:
            parts.append(error)
    return _gathered(parts, labels, wave)


def _check_format(format: str | None):
    known = [f.name for _, formats in _OPENERS.values() for f in formats]
    if format is not None and format not in known:
        raise ValueError(f"expected format of {', '.join(known)}; got {format}")


def _gathered(parts, labels, wave) -> Spectra:
    """All rows on one grid, errors as masked rows in their place."""
    good = [s for part in parts if isinstance(part, list) for s in part]
    if not good:
        more = f" (and {len(parts) - 1} more files)" if len(parts) > 1 else ""
        raise ValueError(f"{parts[0]}{more}") from parts[0]
    if wave is None:
        wave = common_grid([s.wave for s in good], rows=len(parts) + sum(map(len, good)))
    wave = to_angstrom(wave)
    rows = [part if isinstance(part, list) else [no_data(wave, label, str(part))]
            for part, label in zip(parts, labels, strict=True)]  # fmt: skip
    return joined([s for row in rows for s in row], wave)


def load(path, format: str | None, options: Options) -> tuple[str, list[Spectra]]:
    """The format of a file and its spectra, one `Spectra` per grid, named without the file."""
    with blaming(path):
        kind, source = sniff(path)
        module, formats = _OPENERS[kind]
        with module.opened(source) as handle:
            for entry in formats:
                if entry.name == format or (format is None and entry.identify(handle, options)):
                    spectra = [without_padding(s) for s in entry.load(handle, options)]
                    if kind == "fits":
                        found = fits_labels(handle, sum(map(len, spectra)), options.keep)
                        spectra = with_power(with_labels(spectra, found), handle)
                    return entry.name, spectra
            known = format or ", ".join(entry.name for entry in formats)
            raise ValueError(f"expected spectra ({known}); got {module.describe(handle)}")


def _labelled(spectra: Spectra, label) -> Spectra:
    names = [label + n if n.startswith("#") or not n else n for n in spectra.names]
    return replace(spectra, names=names)


def _expanded(path) -> list[str]:
    """Existing files of patterns and folders in order; names without pattern as they are."""
    if isinstance(path, str | os.PathLike):
        path = [path]
    if not isinstance(path, Iterable):
        raise ValueError(f"expected a path, a pattern or a list of them; got {path!r}")
    paths = expanded(map(os.fspath, path))
    if not paths:
        raise ValueError("expected at least one file; got none")
    return paths


def _file_labels(paths) -> list[str]:
    """Base names where they tell the files apart, else the paths as given."""
    names = [os.path.basename(path) for path in paths]
    return names if len(set(names)) == len(set(paths)) else list(paths)
