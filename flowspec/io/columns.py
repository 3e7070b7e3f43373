"""Named arrays with units (of a table, an image or an HDF5 file) to `Spectra`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np

from flowspec.data.spectra import Spectra
from flowspec.data.units import FLUX_UNIT, flux_factor
from flowspec.io.lsf import lsf_column, lsf_of_rows
from flowspec.io.noise import inverse_variance, noise_kind, without_fillers
from flowspec.io.options import Options, Taken
from flowspec.io.roles import LOOSE, NOISE, PER_HERTZ, stem, unused_quality
from flowspec.io.rows import gathered, joint, of_one_grid, of_own_grids
from flowspec.io.units import log_unit, parse_unit
from flowspec.io.wavelengths import runs_down, vacuum_wave

_ROWS_AT_ONCE = 64  # in float64: a few MB, which stay in the cache
Columns = Mapping[str, tuple[Any, u.UnitBase | None]]  # role -> values, unit where known


@dataclass(frozen=True)
class Format:
    """One kind of file: `identify(handle, options)` says whether an open file is of this kind and
    `load(handle, options)` returns its spectra, one `Spectra` per wavelength grid; row names are
    what is to follow the file's name ("" for a file of one spectrum)."""

    name: str
    identify: Callable[[Any, Options], bool]
    load: Callable[[Any, Options], list[Spectra]]


def column(role: str, values, unit, name: str = "") -> tuple[str, tuple[Any, u.UnitBase | None]]:
    """Role, values and unit of a column whose unit is text, or none: wavelengths in a unit such as
    `log10(Angstrom)` become `loglam`, the name of a line-spread function tells what its numbers
    are, and the unit of others counts."""
    if role == "lsf":
        return role, lsf_column(stem(name), values, unit)
    if role not in ("wave", "loglam"):
        return role, (values, parse_unit(unit))
    log = log_unit(unit)
    if log is None:
        return role, (values, parse_unit(unit) if role == "wave" else None)
    base, unit = log
    to_angstrom = 1.0 if unit is None else unit.to(u.AA)
    return "loglam", (np.asarray(values, np.float64) * np.log10(base) + np.log10(to_angstrom), None)


def assumed(columns: Columns, found: Mapping[str, str], names, options: Options) -> list[str]:
    """What the names of a file's columns leave open, and how it is taken.

    Args:
        columns: by role.
        found: role -> name of the column.
        names: of all columns.
        options: of the user.

    Raises:
        ValueError: where a flux per hertz has no unit, of which nothing can be assumed.
    """
    if (
        columns["flux"][1] is None
        and options.flux_unit is None
        and stem(found["flux"]) in PER_HERTZ
    ):
        raise ValueError(f"expected a unit of {found['flux']}; got none: name it (flux_unit)")
    said = []
    error = found.get("err")
    named = error in options.columns.values()
    if error and not named and columns["err"][1] is None and stem(error) in LOOSE:
        said.append(f"{error} is the error of flux")
    if unused := unused_quality(names, found):
        said.append(f"{', '.join(unused)} masks nothing")
    return said


def build(
    columns: Columns,
    options: Options,
    *,
    names: list[str],
    notes: Iterable[str] = (),
    air: bool | None = False,
    flux_unit: u.UnitBase | None = None,
    assumed: Sequence[str] = (),
    found: Mapping[str, str] | None = None,
) -> list[Spectra]:
    """Spectra from columns by role.

    Args:
        columns: `wave` or `loglam` [pixels] or [batch, pixels]; `flux` and one of `ivar`, `var`,
            `err` [pixels] or [batch, pixels]; optionally `mask` (non-zero: no data) and `good`
            (zero: no data) and `lsf` (see `lsf_of_rows`). Variances and errors that are not
            positive mean "no data", as do wavelengths that are not, and errors 10^4 times those of
            the best pixels. Rows of different lengths are arrays of arrays.
        options: of the user; they win over what the file says.
        names, notes: one per row; notes if any.
        air: whether the file gives air wavelengths; None where it does not say.
        flux_unit: what a file of this kind means where it names no unit; None where it may mean
            anything, so that 1e-17 erg/s/cm2/A is assumed, and said in the notes.
        assumed, found: what else was, for the notes; role to name of column, if names decided.

    Returns:
        One Spectra per grid: a single one unless wavelengths differ between rows. A row without
        usable wavelengths among others is a row of masked pixels with a note.

    Raises:
        ValueError: where shapes or units do not fit together, or no row can be read.
    """
    notes = list(notes) or [""] * len(names)
    if any(map(_is_ragged, (values for values, _ in columns.values()))):
        return _ragged(columns, options, names, notes, air=air, flux_unit=flux_unit,
                       assumed=assumed, found=found)  # fmt: skip
    role, kind, sigma_unit, unit = _noise_and_unit(columns, options, flux_unit)
    options.taken.append(_taken(columns, options, found, unit, kind, air, flux_unit))
    wave, values = _wave(columns, options, bool(air)), _arrays(columns, options)
    flux, noise, bad = _fitting(wave, values, role)
    wave = _shared(wave)
    to_flux, to_sigma = (np.atleast_2d(flux_factor(x, wave)) for x in (unit, sigma_unit or unit))
    flux_out, ivar_out = np.empty(flux.shape, np.float32), np.empty(flux.shape, np.float32)
    said = ", ".join([*_unsaid(columns, options, air, flux_unit, sigma_unit), *assumed])
    for i in range(0, len(flux), _ROWS_AT_ONCE):
        rows = slice(i, i + _ROWS_AT_ONCE)
        own = rows if wave.ndim == 2 else slice(None)
        with np.errstate(over="ignore", invalid="ignore"):
            flux_out[rows] = _plain(flux[rows]) * to_flux[own]
            ivar = inverse_variance(kind, _plain(noise[rows]), to_sigma[own])
        ivar, left = without_fillers(ivar), [""] * len(ivar)
        if bad is not None:
            ivar, left = _masked(ivar, flux_out[rows], bad[rows])
        ivar_out[rows] = ivar
        for j, note in enumerate(left, i):
            notes[j] = joint(notes[j], note, said and f"assumed: {said}")
    made = wave, flux_out, ivar_out, names, notes, _lsf(columns, options, wave, len(flux))
    return [of_one_grid(*made)] if wave.ndim == 1 else of_own_grids(*made)


def _noise_and_unit(columns, options, flux_unit):
    """Role of the noise, what it is, the unit of its standard error if any, the unit of flux."""
    role = next(r for r in NOISE if r in columns)
    flux = options.flux_unit or columns["flux"][1]
    if flux is not None:
        flux_factor(flux, np.full(1, 5e3))  # a wrong one is to blame before that of its error
    kind, sigma_unit = noise_kind(role, None if options.flux_unit else columns[role][1])
    unit = options.flux_unit or columns["flux"][1] or flux_unit or sigma_unit or FLUX_UNIT
    return role, kind, sigma_unit, unit


def _taken(columns, options, found, unit, kind, air, flux_unit) -> Taken:
    says = {"user": options.flux_unit, "file": columns["flux"][1], "format": flux_unit}
    unit_of = next((who for who, said in says.items() if said is not None), "nobody")
    air = air if options.air is None else options.air
    return Taken(found or {}, unit, unit_of, kind, bool(air), air is not None)


def _ragged(columns, options, names, notes, **given) -> list[Spectra]:
    """Rows of different lengths: each alone."""

    def row(i):
        own = {
            role: (values[i] if _by_row(role, values, len(names)) else values, unit)
            for role, (values, unit) in columns.items()
        }
        return build(own, options, names=[names[i]], notes=[notes[i]], **given)

    return gathered(row, names)


def _by_row(role: str, values, rows: int) -> bool:
    """Whether values are of each row, or else of all."""
    numbers = role == "lsf" and np.shape(values) == (rows,)
    return np.ndim(values) == 2 or _is_ragged(values) or numbers


def _is_ragged(values) -> bool:
    return np.asanyarray(values).dtype == object


def _wave(columns: Columns, options: Options, air: bool) -> np.ndarray:
    """[pixels] or [batch, pixels], rising."""
    log = "loglam" in columns
    values, unit = columns["loglam" if log else "wave"]
    unit = None if log else options.wave_unit or unit
    air = air if options.air is None else options.air
    wave = vacuum_wave(_plain(values), unit, log=log, air=air)
    if runs_down(unit):
        wave = wave[..., ::-1]
    return wave


def _shared(wave: np.ndarray) -> np.ndarray:
    """[pixels] where all rows share the grid."""
    if wave.ndim == 2 and np.array_equal(wave, np.broadcast_to(wave[0], wave.shape), True):
        return wave[0]
    return wave


def _arrays(columns: Columns, options: Options) -> dict[str, np.ndarray]:
    """Role -> values [rows, pixels] but for wavelengths, in the order of rising wavelengths."""
    step = -1 if _runs_down(columns, options) else 1
    rest = {role: v for role, (v, _) in columns.items() if role not in ("wave", "loglam", "lsf")}
    return {role: np.atleast_2d(np.asanyarray(v))[..., ::step] for role, v in rest.items()}


def _lsf(columns: Columns, options: Options, wave, rows: int) -> np.ndarray | None:
    """Line-spread functions of the rows, of the user or else the file."""
    down = _runs_down(columns, options)
    return lsf_of_rows(columns.get("lsf"), wave, rows, options.resolving_power, down)


def _runs_down(columns: Columns, options: Options) -> bool:
    """Whether the file has its wavelengths falling, as frequencies rise."""
    unit = options.wave_unit or columns.get("wave", (None, None))[1]
    return "wave" in columns and runs_down(unit)


def _fitting(wave, values, role) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Flux, noise and flagged pixels, which must fit together: nothing is cut to fit."""
    flux, noise = values["flux"], values[role]
    of_wave = {flux.shape[-1:], flux.shape, (1, flux.shape[-1])}
    if flux.ndim != 2 or flux.shape != noise.shape or wave.shape not in of_wave:
        raise ValueError(
            f"expected wave, flux and {role} of one length; "
            f"got {wave.shape}, {flux.shape}, {noise.shape}"
        )
    for name in {"mask", "good"} & set(values):
        if values[name].shape not in {flux.shape, (1, flux.shape[1])}:
            raise ValueError(f"expected {name} of shape {flux.shape}; got {values[name].shape}")
    return flux, noise, _bad(values, flux.shape)


def _bad(values, shape) -> np.ndarray | None:
    """[rows, pixels] which pixels are flagged; None where there is no flag."""
    bad = [values["mask"] != 0] if "mask" in values else []
    bad += [~(np.abs(values["good"]) > 0)] if "good" in values else []  # NaN is not good
    return np.broadcast_to(np.logical_or.reduce(bad), shape) if bad else None


def _masked(ivar, flux, bad) -> tuple[np.ndarray, list[str]]:
    """`ivar` with 0 where pixels are `bad`, and a note on each row that loses most of its pixels:
    its mask may mean the opposite."""
    left = np.where(bad, 0, ivar)
    before, after = ((np.isfinite(flux) & (x > 0)).sum(axis=1) for x in (ivar, left))
    notes = [
        f"the mask leaves {few} of {all_} pixels: is it the other way round (columns=)?"
        if few < 0.5 * all_ else ""
        for few, all_ in zip(after, before, strict=True)
    ]  # fmt: skip
    return left, notes


def _unsaid(columns: Columns, options: Options, air, flux_unit, sigma_unit) -> list[str]:
    """What neither the file nor the user says, and is assumed."""
    said = []
    if options.flux_unit is None and columns["flux"][1] is None and flux_unit is None:
        said.append("flux in " + ("1e-17 erg/s/cm2/A" if sigma_unit is None else str(sigma_unit)))
    unit = "wave" in columns and columns["wave"][1] is None and options.wave_unit is None
    medium = air is None and options.air is None
    if unit or medium:
        said.append("wavelengths" + " in A" * unit + " in vacuum" * medium)
    return said


def _plain(values) -> np.ndarray:
    """float64 in native byte order, with masked table entries as NaN."""
    if np.ma.isMaskedArray(values):
        values = values.astype(np.float64).filled(np.nan)
    return np.asarray(values, np.float64)
