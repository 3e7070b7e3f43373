"""Which column of a file holds what: by its name, its UCD and its unit."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowspec.io.lsf import understood
from flowspec.io.units import flux_power, parse_unit

ALIASES = {
    "wave": ("wave", "wavelength", "wavelengths", "lambda", "lam", "wl"),
    "loglam": ("loglam", "loglambda", "log_wave", "log_lambda", "log_wavelength", "log10_wave",
               "lnlam", "ln_wave", "ln_lambda", "ln_wavelength"),
    "flux": ("flux", "flam", "f_lambda", "flux_density", "fluxes", "flux_lambda", "fnu", "f_nu"),
    "ivar": ("ivar", "invvar", "inv_var", "flux_ivar", "ivar_flux", "fluxivar", "inverse_variance"),
    "var": ("var", "variance", "flux_var", "var_flux", "fluxvar", "flux_variance"),
    "err": ("err", "error", "errors", "flux_err", "flux_error", "fluxerr", "fluxerror", "err_flux",
            "error_flux", "e_flux", "flux_sigma", "sigma_flux", "flux_unc", "unc", "flux_std",
            "uncertainty", "flux_uncertainty", "std", "noise", "sigma"),
    "mask": ("mask", "bpm", "badpix", "bad", "bad_pixels", "bad_pixel_mask", "dq", "qual"),
    "good": ("good", "goodpix", "good_pixels", "goodmask", "good_mask", "mask_good", "gpm",
             "valid", "validity", "is_good", "is_valid"),
    "lsf": ("lsf", "lsf_sigma", "wdisp", "lsfpost", "specres", "sres", "resolving_power"),
}  # fmt: skip
NOISE = ("ivar", "var", "err")
LOOSE = ("std", "noise", "sigma")  # also names of line-spread functions
PER_HERTZ = ("fnu", "f_nu")
_ONE_OF = (("wave", "loglam"), ("flux",), NOISE)  # the first that a file has is taken
_MEDIA = {"air": True, "vac": False, "vacuum": False}
_UNITS = ("nm", "um", "micron", "microns", "a", "aa", "ang", "angstrom", "angstroms")
_OBSERVED = ("obs", "observed")
# IVOA's words for what a column holds, which ESO's phase 3 prescribes.
_UCDS = {
    "wave": r"em\.wl",
    "flux": r"phot\.flux\.density",
    "err": r"stat\.error;phot\.flux",
    "mask": r"meta\.code\.qual",
}
_QUALITY = r"(?i)(^|_)(mask|bitmask|flags?|quality|dq|bad|good|valid)($|_)"


def find(
    available: Iterable[str],
    given: Mapping[str, str],
    *,
    units: Mapping[str, Any] | None = None,
    ucds: Mapping[str, str] | None = None,
    mask_is_good: bool = False,
) -> dict[str, str]:
    """Role -> name of the column that holds it, by `given` or else by `ALIASES`.

    A name may also tell the medium or the unit of wavelengths (`wave_air`, `lambda_nm`). A column
    such as `sigma` is an error of flux only where its unit, if any, is one of flux.

    Args:
        available: names of columns.
        given: by the user; they win.
        units: of columns, as text, where they have one.
        ucds: of columns that have one; used where no name fits.
        mask_is_good: whether non-zero values of a column `mask` mark good pixels.

    Raises:
        ValueError: where wavelengths, flux or noise are not among `available`.
    """
    available = list(available)
    _check_given(available, given)
    found = dict(given)
    for role in ALIASES:
        rivals = next((roles for roles in _ONE_OF if role in roles), (role,))
        if not any(rival in found for rival in rivals):
            free = [name for name in available if name not in found.values()]
            if name := _by_name(role, free, units or {}):
                found[role] = name
    for role in _UCDS:
        rivals = next((roles for roles in _ONE_OF if role in roles), (role, "good"))
        if not any(rival in found for rival in rivals):
            if name := _by_ucd(role, ucds or {}):
                found[role] = name
    if mask_is_good and "mask" in found and not {"mask", "good"} & set(given):
        found["good"] = found.pop("mask")
    _check_found(found, available)
    return found


def unused_quality(available: Iterable[str], found: Mapping[str, str]) -> list[str]:
    """Columns whose names sound like a quality, where none is used."""
    if {"mask", "good"} & set(found):
        return []
    return [name for name in available if re.search(_QUALITY, name)]


def stem(name: str) -> str:
    """The name of a column in lower case, without the medium and unit of wavelengths."""
    return _split(name)[0]


def medium_in(name: str) -> bool | None:
    """Whether a name says that wavelengths are in air (True) or in vacuum (False)."""
    return _split(name)[1]


def unit_in(name: str) -> str | None:
    """The unit that a name ends with: `wave_nm`, `Flux [mJy]`."""
    return _split(name)[2]


def listed(names: Sequence[str], most: int = 12) -> str:
    """A few of many names, for messages."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _split(name: str) -> tuple[str, bool | None, str | None]:
    """Name without additions, air or not, unit."""
    bracket = re.fullmatch(r"\s*(.*?)[\s_]*[\[(](.*)[\])]\s*", name)
    base, unit = bracket.groups() if bracket else (name.strip(), None)
    base = re.sub(r"^spectrum[._/]", "", base.lower())  # of the Multimodal Universe
    words = re.split(r"[_\s.-]+", base)
    asides = [w for w in words if w in _MEDIA or w in _UNITS or w in _OBSERVED]
    rest = "_".join(w for w in words if w not in asides)
    if not asides or rest not in ALIASES["wave"]:
        return base, None, unit
    medium = next((_MEDIA[w] for w in asides if w in _MEDIA), None)
    return rest, medium, unit or next((w for w in asides if w in _UNITS), None)


def _by_name(role: str, names: Sequence[str], units: Mapping) -> str | None:
    """The column of the first alias; of several, the plain name, then one in vacuum."""
    fitting = []
    for place, name in enumerate(names):
        base, medium, _ = _split(name)
        if base in ALIASES[role] and _may_be(role, base, units.get(name)):
            rank = ALIASES[role].index(base), bool(medium), name.lower() != base, place
            fitting.append((rank, name))
    return min(fitting)[1] if fitting else None


def _may_be(role: str, base: str, text) -> bool:
    """Whether the unit of a column does not speak against its name."""
    return understood(base, text) if role == "lsf" else not _is_resolution(base, text)


def _is_resolution(base: str, text) -> bool:
    """Whether a loosely named column is in no unit of flux: a width in angstrom, km/s, pixels."""
    try:
        unit = parse_unit(text) if base in LOOSE else None
    except ValueError:
        return True
    return unit is not None and flux_power(unit) is None


def _by_ucd(role: str, ucds: Mapping[str, str]) -> str | None:
    fitting = [n for n, ucd in ucds.items() if re.match(_UCDS[role], ucd.strip().lower())]
    main = [n for n in fitting if "meta.main" in ucds[n].lower()]
    return next(iter(main + fitting), None)


def _check_given(available, given):
    unknown = [role for role in given if role not in ALIASES]
    missing = [name for name in given.values() if name not in available]
    if unknown or missing:
        raise ValueError(
            f"expected columns= of {', '.join(ALIASES)} and named among "
            f"{listed(available)}; got {', '.join(unknown + missing)}"
        )


def _check_found(found, available):
    for roles in _ONE_OF:
        if not any(role in found for role in roles):
            names = [alias for role in roles for alias in ALIASES[role]]
            raise ValueError(
                f"expected a column of {', '.join(roles)} (named {', '.join(names)}); "
                f"got columns {listed(available)}"
            )
