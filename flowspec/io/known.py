"""Pieces of layouts that are known by name: their columns, their pixels, their rows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from astropy.units import AA, Unit, UnitBase

from flowspec.data.spectra import Spectra
from flowspec.io.columns import Columns, build
from flowspec.io.hdus import table_columns
from flowspec.io.options import Options
from flowspec.io.roles import NOISE
from flowspec.io.rows import gathered

CGS = Unit("erg / (s cm2 AA)")
_ONE_OF = (("wave", "loglam"), ("flux",), NOISE, ("mask",))


def named_columns(
    hdu, roles: Mapping[str, str], options: Options, *, bad=None, wave_unit: UnitBase = AA
) -> dict:
    """Role -> values and unit of columns whose names a layout fixes.

    Args:
        hdu: a table.
        roles: role -> name of a column; where the user named another, that one is taken.
        options: of the user.
        bad: pixels without data, in the shape of the flux.
        wave_unit: of wavelengths, where the file names none.
    """
    given = set(options.columns)
    replaced = {role for rivals in _ONE_OF if given & set(rivals) for role in rivals}
    kept = {role: name for role, name in roles.items() if role not in replaced}
    columns = table_columns(hdu, kept | dict(options.columns))
    if "wave" in columns:
        wave, unit = columns["wave"]
        columns["wave"] = wave, unit or wave_unit
    if bad is not None and "mask" not in given:
        columns["mask"] = np.squeeze(bad), None
    return columns


def spectrum(columns: Columns, options: Options, name: str, **kwargs) -> Spectra:
    """One spectrum of columns [pixels], whose pixels may be in any order and without wavelength.

    Raises:
        ValueError: where no pixel has a wavelength.
    """
    axis = next(role for role in ("loglam", "wave") if role in columns)
    wave = np.asarray(columns[axis][0], np.float64)
    order = np.argsort(wave, kind="stable")
    order = order[np.isfinite(wave[order]) & (wave[order] > 0)]
    if len(order) < 2:
        raise ValueError("expected wavelengths; got none")
    ordered = {role: (np.asarray(values)[order], unit) for role, (values, unit) in columns.items()
               if role != "lsf" or np.shape(values) == wave.shape}  # fmt: skip
    return build(ordered, options, names=[name], **kwargs)[0]


def row(columns: Columns, i: int) -> dict:
    """Row `i` of columns, some of which are [rows, pixels] and others [pixels] for all rows."""
    return {role: (values[i] if np.ndim(values) == 2 else values, unit)
            for role, (values, unit) in columns.items()}  # fmt: skip


def each(
    names: Sequence[str], columns: Callable[[int], Columns], options: Options, **kwargs
) -> list[Spectra]:
    """A spectrum for each of `names`, which are told apart, from `columns` of its number; one that
    cannot be read among others that can is a row without data and with the reason."""
    names = distinct(names)
    return gathered(lambda i: [spectrum(columns(i), options, names[i], **kwargs)], names)


def distinct(names: Sequence[str]) -> list[str]:
    """`names`, of which those that repeat are followed by their place: "#12#0", "#12#2"."""
    counts = Counter(names)
    return [f"{name}#{i}" if counts[name] > 1 else name for i, name in enumerate(names)]
