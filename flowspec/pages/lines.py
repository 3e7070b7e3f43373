"""What a page shows of line catalogues."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from astropy.table import Table
from jaxtyping import Float

from flowspec.data.excitation import BOUNDARIES, ORDINATE
from flowspec.data.line_names import wave_of
from flowspec.data.line_ratios import FAINT, ratios
from flowspec.data.lines import Lines, State
from flowspec.pages.cells import cell, cells
from flowspec.pages.packed import packed, packed_columns
from flowspec.pages.reasons import reasons
from flowspec.pages.spectra import DRAWS
from flowspec.posterior.answers import Answers
from flowspec.sim.nebula.catalogues import NebulaSimulator

COVERAGE = 3000  # nebulae drawn from the grid for the background of diagrams
_PREDICTED = 60  # draws of each posterior whose ratios are worked out


def lines_contents(posterior, obs: Lines, table: Table, answers: Answers, *,
                   sim: NebulaSimulator | None = None, **fits: object,
                   ) -> tuple[dict, list[dict]]:
    """Contents of a page of line catalogues, and of each of its rows, ready for JSON.

    Args:
        posterior: `flowspec.Posterior`.
        obs: The model's lines.
        table: Of the posterior, a row per object.
        answers: That the table was made from.
        sim: The simulator of the model's grids, for what they cover, or None.
        fits: How spectra are fitted, which catalogues are not.
    """
    del fits
    columns, values = cells(table)
    contents = {
        "kind": "lines", "columns": columns, "table": values, "lines": list(obs.lines),
        "waves": [wave_of(line) for line in obs.lines], "sources": list(posterior.sources),
        "diagrams": [_diagram(obs, pair) for pair in _shown(obs.lines)],
        "coverage": None if sim is None else _coverage(sim),
        "notes": _notes(sim),
    }  # fmt: skip
    left = _residuals(posterior, obs)
    predicted = None if sim is None else _predicted(sim, obs, answers)
    rows = [{
        "flux": [cell(x) if s else None for x, s in zip(obs.flux[i], obs.state[i], strict=True)],
        "error": [cell(x) if s else None for x, s in zip(obs.err[i], obs.state[i], strict=True)],
        "limit": (obs.state[i] == State.LIMIT).tolist(),
        "residual": [cell(x) for x in left[i]],
        "draws": packed_columns(answers.samples[:DRAWS, i]),
        "predicted": None if predicted is None else packed(predicted[:, i]),
        "shares": _shares(table, posterior.sources, i),
        "reasons": reasons(dict(zip(table.colnames, table[i], strict=True))),
    } for i in range(len(obs))]  # fmt: skip
    return contents, rows


def _shown(lines) -> list[tuple[str, str]]:
    """Abscissas of the diagrams of which all lines are there."""
    pairs = [(line, "Halpha") for line in BOUNDARIES]
    return [pair for pair in pairs if {*pair, *ORDINATE} <= set(lines)]


def _diagram(obs: Lines, pair: tuple[str, str]) -> dict:
    """A diagram with all objects in it."""
    x, y = ratios(obs, *pair), ratios(obs, *ORDINATE)
    points = {axis: {"value": [cell(v) for v in r.value], "error": [cell(v) for v in r.error],
                     "limit": r.limit.tolist()} for axis, r in (("x", x), ("y", y))}  # fmt: skip
    curves = [{"name": name, "a": a, "b": b, "c": c}
              for name, (a, b, c) in BOUNDARIES[pair[0]].items()]
    return {"lines": {"x": pair, "y": ORDINATE}, "curves": curves, **points}


def _log_ratios(flux: Float[np.ndarray, "*n lines"], lines) -> np.ndarray:
    """Abscissa and ordinate of each diagram [n, diagrams, 2], NaN where a line is missing."""
    flux = np.where(flux > 0, flux, np.nan)
    place = {name: i for i, name in enumerate(lines)}

    def log(above, below):
        return np.log10(flux[..., place[above]] / flux[..., place[below]])

    pairs = [np.stack([log(*pair), log(*ORDINATE)], -1) for pair in _shown(lines)]
    return np.stack(pairs, -2) if pairs else np.zeros((*flux.shape[:-1], 0, 2))


def _coverage(sim: NebulaSimulator) -> dict:
    """Ratios of nebulae without dust or noise, drawn from the prior on the grid."""
    theta, source, _ = sim.nebulae(jr.key(0), COVERAGE)
    flux, _ = jax.vmap(sim.ratios, (0, 0, None))(theta, source, jnp.float32(1))
    return packed(_log_ratios(np.asarray(flux), sim.lines))


def _predicted(sim: NebulaSimulator, obs: Lines, answers: Answers) -> np.ndarray:
    """Ratios of the nebulae of posterior draws, dimmed as the data are [n, rows, diagrams, 2]."""
    draws, source = answers.samples[:_PREDICTED], np.maximum(answers.source[:_PREDICTED], 0)
    bit = jnp.asarray(obs.dereddened, jnp.float32)
    each = jax.vmap(jax.vmap(lambda *args: sim.ratios(*args)[0]), (0, 0, None))
    flux = each(jnp.asarray(draws), jnp.asarray(source), bit)
    return _log_ratios(np.asarray(flux), sim.lines)


def _residuals(posterior, obs: Lines) -> Float[np.ndarray, "rows lines"]:
    """Each measured line against all others, by what simulations look like; NaN elsewhere."""
    none = np.full(obs.flux.shape, np.nan)
    if posterior.misfit is None:
        return none
    frame, data = posterior.model.frame, posterior.model.frame.arrays(obs)
    weight = frame.linear(*data)[1]
    return np.where(weight > 0, posterior.misfit.residuals(frame, None, data, None), none)


def _shares(table: Table, sources, row: int) -> list[dict]:
    names = [(s, f"p_{s}") for s in sources if f"p_{s}" in table.colnames]
    return [{"source": source, "share": cell(table[name][row])} for source, name in names]


def _notes(sim) -> list[str]:
    grid = (f"The background of the diagrams is {COVERAGE} nebulae of the model's grid, without "
            "dust or noise, as its prior has them; the cloud about the object is what its "
            "posterior predicts." if sim is not None else
            "The model's grid is not at hand (--grid): diagrams do not show what it covers.")
    return [grid, f"In diagrams lines below {FAINT:g}σ are limits, of their flux (or 0) and "
            f"{FAINT:g}σ more.", f"Corner plots show the first {DRAWS} draws or fewer.",
            "The residual of a line is that of its logarithm, predicted from all other lines by "
            "what simulations look like; of lines measured at over 2σ."]  # fmt: skip
