"""Named arrays with units (of a table, an image or an HDF5 file) to `Spectra`."""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import astropy.units as u
import numpy as np

from flowspec.data.air import air_to_vacuum
from flowspec.data.spectra import Spectra
from flowspec.data.units import FLUX_UNIT, flux_factor, to_angstrom

ALIASES = {
    "wave": ("wave", "wavelength", "wavelengths", "lambda", "lam", "wl"),
    "loglam": ("loglam", "loglambda", "log_wave"),
    "flux": ("flux", "flam", "f_lambda", "flux_density"),
    "ivar": ("ivar", "invvar", "flux_ivar", "inverse_variance"),
    "var": ("var", "variance", "flux_var"),
    "err": ("err", "error", "sigma", "flux_err", "flux_error", "fluxerr", "noise", "uncertainty"),
    "mask": ("mask",),
}
NOISE = ("ivar", "var", "err")
_ONE_OF = (("wave", "loglam"), ("flux",), NOISE)  # the first that a file has is taken
_ROWS_AT_ONCE = 64  # in float64: a few MB, which stay in the cache
Columns = Mapping[str, tuple[Any, u.UnitBase | None]]  # role -> values, unit where known


@dataclass(frozen=True)
class Options:
    """What a user may say about a file that the file does not; see `flowspec.read`."""

    columns: Mapping[str, str] = field(default_factory=dict)
    flux_unit: u.UnitBase | None = None
    wave_unit: u.UnitBase | None = None
    air: bool | None = None
    mask: np.ndarray | None = None


def make_options(columns=None, flux_unit=None, wave_unit=None, air=None, mask=None) -> Options:
    """`Options` from what a user gives: units may be text."""
    units = parse_unit(flux_unit), parse_unit(wave_unit)
    return Options(dict(columns or {}), *units, air, mask)


@dataclass(frozen=True)
class Format:
    """One kind of file: `identify(handle, options)` says whether an open file is of this kind and
    `load(handle, options)` returns its spectra, one `Spectra` per wavelength grid; row names are
    what is to follow the file's name ("" for a file of one spectrum)."""

    name: str
    identify: Callable[[Any, Options], bool]
    load: Callable[[Any, Options], list[Spectra]]


def find(available: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Role -> name of the column that holds it, by `given` or else by `ALIASES`.

    Raises:
        ValueError: where wavelengths, flux or noise are not among `available`.
    """
    available = list(available)
    lower = {name.lower(): name for name in reversed(available)}
    unknown = [role for role in given if role not in ALIASES]
    missing = [name for name in given.values() if name not in available]
    if unknown or missing:
        raise ValueError(
            f"expected columns= of {', '.join(ALIASES)} and named among "
            f"{listed(available)}; got {', '.join(unknown + missing)}"
        )
    found = dict(given)
    for role, aliases in ALIASES.items():
        name = next((lower[a] for a in aliases if a in lower), None)
        rivals = next((roles for roles in _ONE_OF if role in roles), (role,))
        if name is not None and not any(rival in found for rival in rivals):
            found[role] = name
    for roles in _ONE_OF:
        if not any(role in found for role in roles):
            names = [alias for role in roles for alias in ALIASES[role]]
            raise ValueError(
                f"expected a column of {', '.join(roles)} (named {', '.join(names)}); "
                f"got columns {listed(available)}"
            )
    return found


def parse_unit(text) -> u.UnitBase | None:
    """A unit as files spell it; None for none given.

    Raises:
        ValueError: where it cannot be understood.
    """
    if isinstance(text, np.ndarray) and text.size == 1:
        text = text.item()
    if isinstance(text, bytes):
        text = text.decode()
    if text is None or isinstance(text, u.UnitBase):
        return text
    text = str(text).strip()
    if not text:
        return None
    if square := re.fullmatch(r"\((.*)\)\s*(?:\*\*|\^)\s*2", text):  # STAT of the MUSE pipeline
        return parse_unit(square[1]) ** 2
    # Spellings of SDSS, MaNGA and others that astropy does not know ("A" would be ampere).
    plain = re.sub(r"\b(Ang|Angstroms|ANGSTROM|A)\b", "Angstrom", text)
    plain = re.sub(r"/(spaxel|fiber|fibre)\b", "", plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        try:
            return u.Unit(plain)
        except (ValueError, TypeError):
            raise ValueError(f"expected a unit that astropy knows; got unit '{text}'") from None


def build(
    columns: Columns,
    options: Options,
    *,
    names: list[str],
    notes: Iterable[str] = (),
    air: bool = False,
    flux_unit: u.UnitBase = FLUX_UNIT,
) -> list[Spectra]:
    """Spectra from columns by role.

    Args:
        columns: `wave` or `loglam` [pixels] or [batch, pixels]; `flux` and one of `ivar`, `var`,
            `err` [pixels] or [batch, pixels]; optionally `mask` (non-zero: no data). Variances and
            errors that are not positive mean "no data".
        options: of the user; they win over what the file says.
        names: one per row.
        notes: one per row, if any.
        air: whether the file gives air wavelengths.
        flux_unit: what a file of this kind means where it names no unit.

    Returns:
        One Spectra per grid: a single one unless wavelengths differ between rows.
    """
    wave = _vacuum_wave(columns, options, air)
    role, sigma_unit = _noise_role(columns, options)
    unit = options.flux_unit or columns["flux"][1] or flux_unit
    flux, noise = (np.atleast_2d(np.asanyarray(columns[r][0])) for r in ("flux", role))
    if flux.shape != noise.shape or flux.shape[-1] != wave.shape[-1]:
        raise ValueError(
            f"expected wave, flux and {role} of one length; "
            f"got {wave.shape}, {flux.shape}, {noise.shape}"
        )
    mask = np.broadcast_to(columns["mask"][0] if "mask" in columns else 0, flux.shape)
    # of one row where all share the grid
    to_flux, to_sigma = (np.atleast_2d(flux_factor(x, wave)) for x in (unit, sigma_unit or unit))
    flux_out, ivar_out = np.empty(flux.shape, np.float32), np.empty(flux.shape, np.float32)
    for i in range(0, len(flux), _ROWS_AT_ONCE):
        rows = slice(i, i + _ROWS_AT_ONCE)
        own = rows if wave.ndim == 2 else slice(None)
        with np.errstate(over="ignore", invalid="ignore"):
            flux_out[rows] = _plain(flux[rows]) * to_flux[own]
            ivar = _inverse_variance(role, _plain(noise[rows]), to_sigma[own])
            ivar_out[rows] = np.where(mask[rows] == 0, ivar, 0)
    notes = list(notes) or [""] * len(flux)
    if wave.ndim == 2 and (wave == wave[:1]).all():
        wave = wave[0]
    if wave.ndim == 1:
        return [_tolerant(wave, flux_out, ivar_out, names, notes)]
    return [
        Spectra(w[ok], f[ok], v[ok], names=[name], notes=[note])
        for w, f, v, ok, name, note in zip(
            wave, flux_out, ivar_out, np.isfinite(wave), names, notes, strict=True
        )  # rows shorter than the longest are padded with NaN wavelengths
    ]


def _vacuum_wave(columns: Columns, options: Options, air: bool) -> np.ndarray:
    if "loglam" in columns:
        wave = 10 ** _plain(columns["loglam"][0])
    else:
        values, unit = columns["wave"]
        unit = options.wave_unit or unit
        wave = _plain(values)
        if unit is not None:
            wave = to_angstrom(wave * unit)
        elif np.nanmax(wave, initial=0) < 100:  # µm without saying so
            raise ValueError(
                f"expected wavelengths in A; got {np.nanmin(wave):g} to {np.nanmax(wave):g} "
                f"without a unit: name it (wave_unit)"
            )
    return air_to_vacuum(wave) if (air if options.air is None else options.air) else wave


def _noise_role(columns: Columns, options: Options):
    """Which column has the noise, and the unit of its standard deviation where it names one."""
    role = next(r for r in NOISE if r in columns)
    unit = None if options.flux_unit else columns[role][1]
    power = {"ivar": -0.5, "var": 0.5, "err": 1}[role]
    return role, None if unit is None else unit**power


def _inverse_variance(role: str, noise, to_sigma) -> np.ndarray:
    if role == "ivar":
        return noise / to_sigma**2
    variance = noise * to_sigma**2 if role == "var" else np.maximum(noise * to_sigma, 0) ** 2
    return np.divide(1, variance, out=np.zeros(noise.shape), where=variance > 0)


def _tolerant(wave, flux, ivar, names, notes) -> Spectra:
    """Spectra in which a row with negative ivar is masked with a note, unless all are so."""
    negative = (ivar < 0).any(axis=1)
    if negative.any() and not negative.all():
        lowest = ivar.min(axis=1)
        ivar = np.where(negative[:, None], 0, ivar)
        notes = [
            f"expected ivar >= 0; got {lowest[i]:g}" if negative[i] else note
            for i, note in enumerate(notes)
        ]
    return Spectra(wave, flux, ivar, names=names, notes=notes)


def _plain(values) -> np.ndarray:
    """float64 in native byte order, with masked table entries as NaN."""
    if np.ma.isMaskedArray(values):
        values = values.astype(np.float64).filled(np.nan)
    return np.asarray(values, np.float64)


def listed(names: Sequence[str], most: int = 12) -> str:
    """A few of many names, for messages."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
