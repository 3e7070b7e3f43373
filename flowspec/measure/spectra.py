"""Emission lines of spectra: fluxes with errors, above their stars."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowspec.data.extra import Extra
from flowspec.data.line_names import sum_name
from flowspec.data.line_waves import WAVES
from flowspec.data.lines import Lines
from flowspec.data.lsf import C_KMS
from flowspec.data.regrid import pixel_edges
from flowspec.data.spectra import Spectra
from flowspec.measure.catalogue import (
    DOUBLETS,
    LEAST_SEEN,
    LINES,
    STRONG,
    columns,
    fitted,
    given,
)
from flowspec.measure.continuum import (
    DISPERSION,
    Populations,
    attenuated,
    dusty,
    load_populations,
    moving,
    smooth_curves,
)
from flowspec.measure.profiles import WIDTH, Pixels, kinematics, profiles, widths
from flowspec.measure.solution import Lights, Solution, solved

SHORTEST, LONGEST = 1200.0, 24000.0  # rest wavelengths in angstrom that are fitted
SODIUM = (5887.0, 5902.0)  # gas between the stars absorbs there, which their models do not have
_SURE = 5.0  # standard errors of a line that is there
_LEAST = 100  # good pixels between the lines
_BESIDE = 150.0  # km/s: standard deviation of lines that the fit of stars leaves out to 3 of them


class Measured(NamedTuple):
    """Lines of one spectrum.

    Attributes:
        flux, err: Of each name, NaN where it is not seen, 1e-17 erg/s/cm2 [names].
        resolving: Standard deviation of each fitted line, km/s [lines].
        velocity, dispersion: Of the gas, km/s.
        chi2: Per degree of freedom.
    """

    flux: Float[np.ndarray, " names"]
    err: Float[np.ndarray, " names"]
    resolving: Float[np.ndarray, " lines"]
    velocity: float
    dispersion: float
    chi2: float


def measure_lines(
    obs: Spectra, z: float | np.number | np.ndarray | Sequence, lines: Sequence[str] | None = None
) -> Lines:
    """Fluxes of the emission lines of galaxies, for models of line catalogues such as `nebula`.

    Each spectrum is fitted by stars, a smooth curve of a few per cent and lines, all at once.
    Stars are populations of the shipped table, not negative, behind dust (Calzetti), at a velocity
    and dispersion of their own: what they absorb below Balmer lines is part of the fit and of the
    errors. Lines are Gaussians of one velocity and one width, beside the line-spread function
    (`obs.lsf`) where that is known. Pairs with a ratio by atomic physics, such as [O III], are one
    flux, given as that of the stronger line unless it is not on good pixels: two would count twice.
    Doublets that are hardly resolved in most spectra are given as their sum.

    Errors are those of the fit by `ivar`, velocity and width of the lines unknown too, times
    the root of chi2 per degree of freedom where that is over one. Faint lines keep flux and error,
    and a flux may be negative: this is what models take, and no limit is made of it. A line is
    absent where less than 70 % of its flux falls on good pixels. Light of broad lines or of a
    nucleus is not in the fit.

    Args:
        obs: Spectra, corrected for dust of the Milky Way.
        z: Redshift of each, or of all; within about 200 km/s.
        lines: Names of the lines to give; by default all of `flowspec.measure.catalogue` that are
            seen in any. Any emission line that flowspec knows can be asked for, and sums.

    Returns:
        In 1e-17 erg/s/cm², as observed. Names, notes and labels are those of the spectra, with the
        columns ``gas_velocity`` and ``gas_dispersion``, km/s, and ``lines_chi2``.

    Raises:
        ValueError: On other than one redshift per spectrum, or names that are no lines.
    """
    z = _redshifts(obs, z)
    fit = fitted(lines)
    sums = tuple(sum_name(pair) for pair in DOUBLETS)
    every = (*LINES, *sums) if lines is None else given(lines, {})
    found, notes = _of_rows(obs, z, fit, every, both=lines is not None)
    resolving = _typical_widths(found.values(), fit)
    flux, err = np.full((2, len(obs), len(every)), np.nan)
    extra = {name: np.full(len(obs), np.nan)
             for name in ("gas_velocity", "gas_dispersion", "lines_chi2")}  # fmt: skip
    for i, one in found.items():
        flux[i], err[i] = one.flux, one.err
        for name, value in zip(extra, one[-3:], strict=True):
            extra[name][i] = value
    names = [n for n in given(lines, resolving)
             if lines is not None or np.isfinite(flux[:, every.index(n)]).any()]
    kept = [every.index(n) for n in names or every[:1]]
    return Lines([every[k] for k in kept], flux[:, kept], err[:, kept], names=obs.names,
                 notes=notes, extra=Extra({**obs.extra, **extra}))  # fmt: skip


def _typical_widths(found, fit) -> dict[str, float]:
    """Median over spectra with a line of five sigma, or over all where none has one, km/s."""
    sure = [m.resolving for m in found if (m.flux > _SURE * m.err).any()]
    rows = sure or [m.resolving for m in found]
    return dict(zip(fit, np.median(rows, axis=0), strict=True)) if rows else {}


def _redshifts(obs, z) -> np.ndarray:
    z = np.ma.filled(np.ma.asarray(z, float), np.nan)
    if z.shape not in ((), (len(obs),)):
        raise ValueError(f"expected one redshift, or one per row of {len(obs)}; "
                         f"got shape {z.shape}")
    return np.broadcast_to(z, (len(obs),))


def _of_rows(obs, z, fit, names, both) -> tuple[dict[int, Measured], list[str]]:
    """What is measured in rows where that can be, and the notes of all rows."""
    notes, spectra = list(obs.notes), {}
    for i in np.flatnonzero(obs.usable).tolist():
        if not (np.isfinite(z[i]) and z[i] > -0.1):
            notes[i] = "; ".join(filter(None, [notes[i], "no redshift"]))
        else:
            spectra[i] = pixels_of(obs, i, z[i])
    rest = [p.rest[[0, -1]] for p in spectra.values() if len(p.rest)]
    if not rest:
        return {}, notes
    populations = load_populations(np.min(rest), np.max(rest))
    found = {}
    for i, pixels in spectra.items():
        free = between_lines(pixels)
        if free.sum() < _LEAST:
            why = f"expected {_LEAST} good pixels between lines; got {free.sum()}"
            notes[i] = "; ".join(filter(None, [notes[i], why]))
        else:
            found[i] = measured(populations, pixels, free, fit, names, both)
    return found, notes


def pixels_of(obs: Spectra, row: int, z: float) -> Pixels:
    """Good pixels of a spectrum that are fitted."""
    rest = obs.wave / (1 + z)
    good = (obs.ivar[row] > 0) & (rest > SHORTEST) & (rest < LONGEST)
    good &= (rest < SODIUM[0]) | (rest > SODIUM[1])
    edges = pixel_edges(obs.wave)
    lsf = np.zeros(1) if obs.lsf is None else np.asarray(obs.lsf[row], float)
    lsf = np.broadcast_to(np.where(np.isfinite(lsf), lsf, 0.0), obs.wave.shape)
    flux, ivar = (np.asarray(a[row], float) for a in (obs.flux, obs.ivar))
    return Pixels(edges[:-1], edges[1:], flux, ivar, lsf, rest, float(z)).at(good)


def between_lines(pixels: Pixels) -> np.ndarray:
    """Mask of pixels without emission lines."""
    reach = 3 * np.hypot(_BESIDE, pixels.lsf) / C_KMS
    return ~_near(pixels, LINES, reach)


def _near(pixels, lines, reach) -> np.ndarray:
    ln_lines = np.sort(np.log([WAVES[line] for line in lines]))
    x = np.log(pixels.rest)
    after = np.clip(np.searchsorted(ln_lines, x), 1, len(ln_lines) - 1)
    return np.minimum(np.abs(x - ln_lines[after]), np.abs(x - ln_lines[after - 1])) < reach


def measured(
    populations: Populations, pixels: Pixels, free, fit: tuple[str, ...], names: tuple[str, ...],
    both: bool,
) -> Measured:  # fmt: skip
    """Lines of one spectrum.

    Args:
        populations: On a grid that covers it.
        pixels: Of the spectrum.
        free: Mask of those between the lines.
        fit: Single lines to fit, where they are seen.
        names: Of lines and sums to give.
        both: Whether to give both lines of a pair with a fixed ratio.
    """
    seen = _seen(pixels, fit, 0.0, WIDTH)
    lines = tuple(line for line, s in zip(fit, seen, strict=True) if s > 0.01)
    chosen = columns(lines, seen[seen > 0.01] >= LEAST_SEEN, names, both)
    clear = pixels.at(free)
    stars = dusty(populations, clear, 0.0, DISPERSION)
    _, width = _moving(populations, pixels, stars, chosen)
    # where stars do not tell their dispersion, it is about that of the gas
    stars = dusty(populations, clear, *moving(populations, clear, stars, width))
    velocity, width = _moving(populations, pixels, stars, chosen)
    lights = Lights(populations, pixels, smooth_curves(pixels), lines, chosen.share)
    solution = solved(lights, stars, velocity, width)
    flux, err = _given(solution, chosen.wanted)
    return Measured(flux, err, widths(pixels, fit, width), velocity, width, solution.chi2)


def _seen(pixels, lines, velocity, width) -> np.ndarray:
    """Share of each line on good pixels [lines]."""
    return (pixels.high - pixels.low) @ profiles(pixels, lines, velocity, width)


def _moving(populations, pixels, stars, chosen) -> tuple[float, float]:
    """Velocity and width of the gas above the stars, by the strong lines."""
    near = _near(pixels, STRONG, 5 * np.hypot(_BESIDE, pixels.lsf) / C_KMS)
    strong = [i for i, line in enumerate(chosen.lines) if line in STRONG]
    share = chosen.share[:, strong]
    share = share[(share > 0).any(1)]
    if not len(share):
        return 0.0, WIDTH
    near = pixels.at(near)
    starlight = attenuated(populations, near, stars, stars.weight[:, None])[:, 0]
    names = tuple(chosen.lines[i] for i in strong)
    return kinematics(near._replace(flux=near.flux - starlight), names, share)


def _given(solution: Solution, wanted) -> tuple[np.ndarray, np.ndarray]:
    seen = np.isfinite(wanted).all(1)
    some = np.where(seen[:, None], wanted, 0)
    variance = np.einsum("gi,ij,gj->g", some, solution.covariance, some)
    err = np.sqrt(variance * max(solution.chi2, 1.0))
    return np.where(seen, some @ solution.flux, np.nan), np.where(seen, err, np.nan)
