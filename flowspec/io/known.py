"""Pieces of layouts that are known by name: their columns, their pixels, their rows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from astropy.units import UnitBase

from flowspec.data.spectra import Spectra
from flowspec.io.columns import Columns, Options, build
from flowspec.io.hdus import table_columns


def named_columns(
    hdu, roles: Mapping[str, str], options: Options, *, bad=None, wave_unit: UnitBase | None = None
) -> dict:
    """Role -> values and unit of columns whose names a layout fixes.

    Args:
        hdu: a table.
        roles: role -> name of a column; those that the user named win.
        options: of the user.
        bad: pixels without data, in the shape of the flux.
        wave_unit: of wavelengths, where the file names none.
    """
    columns = table_columns(hdu, {**roles, **options.columns})
    if "wave" in columns:
        wave, unit = columns["wave"]
        columns["wave"] = wave, unit or wave_unit
    if bad is not None:
        columns["mask"] = np.squeeze(bad), None
    return columns


def spectrum(columns: Columns, options: Options, name: str, **kwargs) -> Spectra:
    """One spectrum of columns [pixels], whose pixels may be in any order and without wavelength."""
    axis = next(role for role in ("loglam", "wave") if role in columns)
    wave = np.asarray(columns[axis][0], np.float64)
    order = np.argsort(wave, kind="stable")
    order = order[np.isfinite(wave[order]) & (wave[order] > 0)]
    if len(order) == 0:
        return no_data(name, "expected wavelengths; got none")
    ordered = {role: (np.asarray(values)[order], unit) for role, (values, unit) in columns.items()}
    return build(ordered, options, names=[name], **kwargs)[0]


def row(columns: Columns, i: int) -> dict:
    """Row `i` of columns, some of which are [rows, pixels] and others [pixels] for all rows."""
    return {role: (values[i] if np.ndim(values) == 2 else values, unit)
            for role, (values, unit) in columns.items()}  # fmt: skip


def no_data(name: str, note: str) -> Spectra:
    """A row that says why it is empty; `on_one_grid` gives it the wavelengths of others."""
    return Spectra(np.ones(1), np.zeros((1, 1)), np.zeros((1, 1)), names=[name], notes=[note])


def together(spectra: Iterable[Spectra]) -> list[Spectra]:
    """Spectra of one file, with names told apart and empty rows on the grid of another.

    Raises:
        ValueError: where no row has data.
    """
    spectra = list(spectra)
    usable = [s for s in spectra if len(s.wave) > 1]
    if not usable:
        raise ValueError(next((s.notes[0] for s in spectra), "expected spectra; got none"))
    names = distinct([name for s in spectra for name in s.names])
    grid = usable[0].wave
    return [
        _renamed(s if len(s.wave) > 1 else s.resample(grid), [names.pop(0) for _ in s.names])
        for s in spectra
    ]


def distinct(names: Sequence[str]) -> list[str]:
    """`names`, of which those that repeat get numbers: "#12,0", "#12,1"."""
    counts, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        found.append(f"{name},{seen[name]}" if counts[name] > 1 else name)
        seen[name] += 1
    return found


def _renamed(spectra: Spectra, names) -> Spectra:
    return Spectra(spectra.wave, spectra.flux, spectra.ivar, names=names, notes=spectra.notes)
