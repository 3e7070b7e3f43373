"""Single clouds against mixtures of clouds: do they give real lines, and abundances, line by line?

Every line of two catalogues is predicted from all others (`flowspec.check.predictive`) by exact
posteriors (`flowspec.check.importance`, no network). Errors of the models are learned line by line
without labels from half of the objects, by a hash of their names; the other half is scored, with
`half="look"` the first itself. Galaxies of DESI with direct temperatures (Scholte et al. 2025,
MNRAS 540, 1800), as ratios free of dust: O/H and N/O beside the direct ones, which nothing has
learned from. NGC 628 (Groves et al. 2023, MNRAS 520, 4902), H II regions: the gradient of O/H.

Data: `FLOWSPEC_TEST_DATA`.
"""

from collections.abc import Callable

import numpy as np
from astropy.table import Table

import flowspec as fs
from benchmarks import harness, scores
from benchmarks.cloudy_grids import FILES, GRIDS
from benchmarks.real_nebulae import ASSUMED, TOLD, from_ratios, ngc628, scatter, slope
from flowspec.check.importance import PriorDraws, prior_draws
from flowspec.check.line_errors import line_errors
from flowspec.check.predictive import left_out
from flowspec.sim.nebula.grid import mappings
from flowspec.sim.nebula.mixture import CLOUDS

LINES = {
    "DESI": ("[OII]3726,3729", "[NeIII]3869", "Hbeta", "[OIII]5007", "Halpha", "[NII]6584",
             "[SII]6717,6731"),
    "NGC 628": ("Hbeta", "[OIII]5007", "[OI]6300", "Halpha", "[NII]6584", "[SII]6717", "[SII]6731",
                "[SIII]9069"),
}  # fmt: skip
SUMS = ("[SII]6717", "[SII]6731")  # that the Cloudy grids have as one


def run(
    *,
    grids: str = "MAPPINGS,HII-POPSTAR,HII-BPASS",
    clouds: str = "single,mixture",
    samples: str = "DESI,NGC 628",
    half: str = "report",
    most: int = 300,
    draws: int = 50_000,
    n: int = 200,
    rounds: int = 4,
    seed: int = 0,
) -> dict:
    """Both samples with each grid, as single clouds and as mixtures.

    Args:
        grids: Names, with commas between: MAPPINGS, or sources of the Cloudy 17 grids.
        clouds: "single", "mixture" or both.
        samples: "DESI", "NGC 628" or both.
        half: Of the objects to score: "report", or "look", of which errors are learned.
        most: Objects of each half at most.
        draws: Of the prior, for all objects.
        n: Of the posterior of each object and line.
        rounds: Over all lines, in which their errors are learned.
        seed: Of the draws.
    """
    results = {f"{grid}, powers of N/O": nitrogen_powers(grid) for grid in grids.split(",")
               if grid in FILES}  # fmt: skip
    for sample in samples.split(","):
        learn, obs, score = SAMPLES[sample](half, most)
        for grid in grids.split(","):
            for kind in clouds.split(","):
                sim = simulator(grid, kind, LINES[sample])
                errors = line_errors(sim, learn, n=n, draws=draws, rounds=rounds, seed=seed)
                sim = sim.with_errors(errors)
                prior = prior_draws(sim, draws, seed=seed)
                results[f"{sample}, {grid}, {kind}"] = scored(prior, obs, score, n, seed)
    return results


def nitrogen_powers(grid: str) -> dict:
    """With what power of N/O two lines go at -1.5 to -0.5, by 12 + log O/H, at log U -3.5, -2.5."""
    table = fs.read_grid(harness.data_folder() / GRIDS.format(FILES[grid]))
    fluxes = np.log10(np.maximum(table.cube(), table.floor))
    oh, no, log_u = table.axes
    near, found = (no >= -1.5) & (no <= -0.5), {}
    for line in ("[NII]6584", "[OII]3726,3729"):
        of_line = fluxes[..., table.lines.index(line)]
        found[line] = {
            f"{level:g}": [
                float(np.polyfit(no[near], of_line[i, near, np.abs(log_u - u).argmin()], 1)[0])
                for u in (-3.5, -2.5)]
            for level, i in ((level, np.abs(oh - level).argmin()) for level in (8.0, 8.7, 9.0))}
    return found


def simulator(
    grid: str, kind: str, lines: tuple[str, ...], *, tied: float = 0.5
) -> fs.NebulaSimulator:
    """Of a grid by its name, for those of some lines that it has."""
    if grid == "MAPPINGS":
        return CLOUDS[kind](mappings(), lines, tied=tied)
    table = fs.read_grid(harness.data_folder() / GRIDS.format(FILES[grid]))
    kept = [n for n in lines if n in table.lines]
    kept += ["[SII]6717,6731"] if set(SUMS) <= set(lines) else []
    return CLOUDS[kind](table, kept, tied=tied)


def scored(prior: PriorDraws, obs: fs.Lines, score: Callable, n: int, seed: int) -> dict:
    """Errors that were learned, misfits of each line from the others, and abundances."""
    def draw(rows):
        found = prior.posterior(rows, n, tried=3 * n, seed=seed)
        return found.samples, found.source

    sim, obs = prior.sim, obs.select(prior.sim.lines)
    found, whole = left_out(draw, sim, obs), prior.posterior(obs, n, tried=3 * n, seed=seed)
    lines = {}
    for column, line in enumerate(sim.lines):
        if line not in ASSUMED:
            lines[line] = misfit(found, obs, column) | {
                "learned offset and spread, ln": [float(sim.errors.offset[column]),
                                                  float(sim.errors.spread[column])]}
    return {
        "objects": len(obs),
        "lines": lines,
        "effective of the draws tried, median and 5 %": [
            float(np.percentile(whole.ess, q) / (3 * n)) for q in (50, 5)],
        "ln evidence, mean": float(whole.log_evidence.mean()),
    } | score(sim, whole.samples)  # fmt: skip


def misfit(found, obs: fs.Lines, column: int) -> dict:
    """Measured over predicted flux of one line, and whether the predicted intervals hold it."""
    known = np.isfinite(found.residual[:, column])
    with np.errstate(invalid="ignore", divide="ignore"):  # fluxes may be negative
        away = np.log10(obs.flux[known, column] / found.median[known, column])
    away, p_value = away[np.isfinite(away)], found.p_value[known, column]
    return {
        "n": int(known.sum()),
        "median, dex": scores.middle(away),
        "median of its size, dex": scores.middle(np.abs(away)),
        "inside 68 and 95 %": [scores.share(np.abs(p_value - 0.5) < q / 2) for q in (0.68, 0.95)],
    }


def chosen(names, half: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows to learn errors from, and of those to score, evenly spread."""
    report = scores.report_half(names)
    halves = np.flatnonzero(~report), np.flatnonzero(report if half == "report" else ~report)
    return tuple(rows[:: max(1, -(-len(rows) // most))] for rows in halves)


def desi(half: str, most: int):
    """Rows to learn from, rows to score, and scores of abundances."""
    folder = harness.data_folder() / "lines" / "direct_te"
    truth = Table.read(folder / "scholte2025_desi.fits")
    obs = from_ratios(Table.read(folder / "scholte2025_desi_ratios.fits")).corrected(True)
    learn, rows = chosen(obs.names, half, most)
    truth, has_nitrogen = truth[rows], obs.state[rows, obs.lines.index("[NII]6584")] > 0

    def score(sim, samples):
        found = {}
        for name, column in (("oh", "OH"), ("no", "NO")):
            levels = [np.asarray(truth[f"{column}_{p}"], float) for p in ("p16", "p50", "p84")]
            told = ((levels[2] - levels[0]) / 2 < TOLD) & (has_nitrogen | (name == "oh"))
            if name in sim.names:
                drawn = samples[:, told, sim.names.index(name)]
                found[name] = against_direct(drawn, *(level[told] for level in levels))
        return found

    return obs[learn], obs[rows], score


def against_direct(drawn, low, known, high) -> dict:
    """Medians of draws [n, rows] about the direct method, and both errors together."""
    p16, p50, p84 = np.percentile(drawn, [16, 50, 84], axis=0)
    away = p50 - known
    offset, sigma = np.median(away), np.hypot((p84 - p16) / 2, (high - low) / 2)
    rich = known > 8.0  # of O/H; no N/O
    return {
        "n": len(known),
        "offset": float(offset),
        "scatter (standard deviation)": float(np.std(away)),
        "scatter (NMAD)": scores.nmad(away),
        **({"scatter above 8.0": float(np.std(away[rich]))} if rich.any() else {}),
        "median stated sigma": float(np.median((p84 - p16) / 2)),
        "within 1 and 2 sigma": [float((np.abs(away - offset) < k * sigma).mean()) for k in (1, 2)],
    }


def regions(half: str, most: int):
    """Rows to learn from, rows to score, and the gradient of NGC 628."""
    table, obs, rows = ngc628(harness.data_folder() / "lines" / "phangs_ngc628")
    learn, report = (rows[part] for part in chosen([obs.names[i] for i in rows], half, most))
    radius, scal = (np.asarray(table[n], float)[report] for n in ("deproj_r_R25", "met_scal"))

    def score(sim, samples):
        oh = np.median(samples[..., sim.names.index("oh")], axis=0)
        return {"gradient, error, centre": slope(radius, oh, 0),
                "of the catalogue's Scal": slope(radius, scal, 0),
                "scatter about the line, dex": scatter(radius, oh)}  # fmt: skip

    return obs[learn], obs[report], score


SAMPLES = {"DESI": desi, "NGC 628": regions}
