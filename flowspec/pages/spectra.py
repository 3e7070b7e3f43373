"""What a page shows of spectra."""

import re

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from flowspec.data.flags import Flag
from flowspec.data.line_marks import MARKS
from flowspec.data.spectra import Spectra
from flowspec.pages.cells import cell, cells
from flowspec.pages.models import Shown, fits, reconstructions, runner_up
from flowspec.pages.packed import exact, packed, packed_columns
from flowspec.pages.reasons import reasons
from flowspec.posterior.answers import Answers, of_own_kind, redshift_density

DRAWS = 200  # of each posterior that a page holds
_PIXELS = 36_000_000  # bytes for pixels: with the rest of a page of 1,000 less than 50 MB
_NUMBER = 8 / 3  # bytes: two in base64
_WINDOW = re.compile(r"(\d+) A(?: to (\d+) A)?")  # as `Misfit` tells where data are odd


def spectra_contents(posterior, obs: Spectra, table: Table, answers: Answers, *, sim=None,
                     count: int = 0, progress: bool = False) -> tuple[dict, list[dict]]:
    """Contents of a page of spectra, and of each of its rows, ready for JSON.

    Args:
        posterior: `flowspec.Posterior`.
        obs: Spectra on the model's pixels.
        table: Of the posterior, a row per spectrum.
        answers: That the table was made from.
        sim: The simulator to fit, or None.
        count: Number of spectra to fit: the first that have data.
        progress: Whether to show a progress bar of these fits.
    """
    some = np.flatnonzero((table["flags"] & int(Flag.NO_DATA)) == 0)
    fitted = {} if sim is None else fits(sim, obs, answers, some[:count], progress=progress)
    peaks, sigmas, probs = (_filled(table, name, len(obs))
                            for name in ("z_peaks", "z_peak_sigmas", "z_peak_probs"))
    space = posterior.model.space
    second = runner_up(space, answers.share)
    peaks, sigmas, probs = (np.column_stack([x, more]) for x, more in
                            ((peaks, second[0]), (sigmas, second[0] * np.nan), (probs, second[1])))
    built = reconstructions(posterior, obs, peaks, probs)
    models = [[*([fitted[i]] if i in fitted else []), *built[i]] for i in range(len(obs))]
    factor = _factor(models, len(obs.wave))
    coarse = coarser(obs, factor)
    columns, values = cells(table)
    contents = {
        "kind": "spectra", "columns": columns, "table": values,
        "marks": [mark._asdict() for mark in MARKS],
        "wave": exact(coarse.wave),
        "notes": _notes(len(obs), len(fitted), len(some), factor, posterior, sim),
    }  # fmt: skip
    density = None
    if space.redshift is not None:
        density = redshift_density(space, answers.share)
        contents["edges"] = exact(space.redshift.all_edges())
    draws, rows = of_own_kind(space, answers), []
    for i in range(len(obs)):
        rows.append({
            "flux": packed(np.where(coarse.ivar[i] > 0, coarse.flux[i], np.nan)),
            "error": packed(np.where(coarse.ivar[i] > 0,
                                     np.maximum(coarse.ivar[i], 1e-30) ** -0.5, np.nan)),
            "models": [_packed_model(m, obs[i], factor) for m in models[i]],
            "draws": packed_columns(draws[:DRAWS, i]),
            "pdf": None if density is None else packed(density[i]),
            "peaks": _peaks(peaks[i], sigmas[i], probs[i], second[2][i]),
            "reasons": reasons(dict(zip(table.colnames, table[i], strict=True))),
            "window": window(str(table["unlike_at"][i]) if "unlike_at" in table.colnames else ""),
        })  # fmt: skip
    return contents, rows


def coarser(obs: Spectra, factor: int) -> Spectra:
    """Spectra whose pixels are means of `factor` of them, weighted by inverse variance."""
    if factor == 1:
        return obs
    first = np.arange(0, len(obs.wave), factor)
    sums, counts = (np.add.reduceat(x, first) for x in (obs.wave, np.ones(len(obs.wave))))
    return obs.resample(sums / counts, weighted=True)


def window(where: str) -> list[float] | None:
    """First and last wavelength of where data are odd, of the table's words; None of none."""
    match = _WINDOW.fullmatch(where)
    return match and [float(match[1]), float(match[2] or match[1])]


def _factor(models: list[list[Shown]], pixels: int) -> int:
    """How many pixels must become one, of rows with these models."""
    curves = sum(2 + sum(1 if m.band is None else 2 for m in some) for some in models)
    return max(1, int(np.ceil(curves * pixels * _NUMBER / _PIXELS)))


def _filled(table: Table, name: str, rows: int) -> Float[np.ndarray, "rows most"]:
    """A column of several values per row, NaN where masked or not there."""
    if name not in table.colnames:
        return np.full((rows, 1), np.nan)
    return np.ma.filled(np.ma.asarray(table[name], float), np.nan)


def _peaks(z, sigma, prob, runner_up: str) -> list[dict]:
    """Redshifts to choose among; the last column is that of the second most probable kind."""
    kinds = [""] * (len(z) - 1) + [runner_up]
    return [{"z": cell(a), "sigma": cell(b), "prob": cell(c), "kind": kind}
            for a, b, c, kind in zip(z, sigma, prob, kinds, strict=True) if np.isfinite(a)]


def _packed_model(shown: Shown, row: Spectra, factor: int) -> dict:
    """A model on the pixels of the page, averaged with the weights of the data."""

    def averaged(flux):
        model = coarser(Spectra(row.wave, flux[None], row.ivar), factor)
        return packed(np.where(model.ivar[0] > 0, model.flux[0], np.nan))

    # a fit knows the flux where there is no data too; on averaged pixels weights end with the data
    known = packed if factor == 1 else averaged
    band = None if shown.band is None else known(shown.band)
    return {"flux": known(shown.flux), "band": band, "z": cell(shown.z), "kind": shown.kind,
            "words": shown.words}  # fmt: skip


def _notes(rows: int, fitted: int, some: int, factor: int, posterior, sim) -> list[str]:
    """What a reader must know of how the page was made."""
    notes = [f"Corner plots and the detail of a peak show the first {DRAWS} draws or fewer."]
    if fitted:
        notes.append(f"The forward model was fitted to {fitted} of {rows} spectra, the first with "
                     "data (--fits).")
    elif sim is None:
        notes.append("No forward model is known for this posterior, so that none was fitted.")
    else:
        notes.append("The forward model was fitted to none of the spectra (--fits).")
    if fitted < some:
        notes.append("Other models are reconstructions from components of simulations."
                     if posterior.misfit is not None else "Other spectra have no model.")
    if factor > 1:
        notes.append(f"To keep the page small, every pixel here is the mean of {factor} of the "
                     "model's grid, weighted by inverse variance. Posteriors are of all pixels.")
    return notes
