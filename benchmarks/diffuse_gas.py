"""NGC 628 by the brightness of its regions: where models of H II regions apply, and what they say.

Regions of small equivalent width are seen through the diffuse gas of the disc, which is no H II
region (Lacerda et al. 2018, MNRAS 474, 3727: above 14 angstrom stars that form, below 3 old ones).
First the lines of all H II regions of the catalogue by their equivalent width. Then the bright ones
by exact posteriors of mixtures of clouds, without a network: every line from all others, with flat
priors of O/H and N/O and with those of the population itself (`flowspec.check.population`), learned
from the other half of the objects; and the gradient of O/H (`fs.gradient`), O/H with a flat prior.

The widths that divide the regions were chosen on the look half, by the misfits of the lines. The
catalogue's Scal enters one row alone.

Data: `FLOWSPEC_TEST_DATA`.
"""

import numpy as np

import flowspec as fs
from benchmarks import harness
from benchmarks.mixtures import LINES, misfit, simulator
from benchmarks.real_nebulae import ASSUMED, ngc628
from benchmarks.scores import middle, report_half
from flowspec.check.importance import prior_draws
from flowspec.check.line_errors import line_errors
from flowspec.check.population import learned_prior
from flowspec.check.predictive import left_out
from flowspec.prior.relations import ionisation_of_grid

RATIOS = {
    "[OIII]/Hb": (("OIII5006",), ("HB4861",)),
    "[NII]/Ha": (("NII6583",), ("HA6562",)),
    "[SII]/Ha": (("SII6716", "SII6730"), ("HA6562",)),
    "[OI]/Ha": (("OI6300",), ("HA6562",)),
    "[SIII]9069/[SII]": (("SIII9068",), ("SII6716", "SII6730")),
}
WIDTHS = (0.0, 14.0, 40.0)  # angstrom of H-alpha in emission, where the bins begin
ERRORS = 2  # rounds in which errors of the models are learned
PIXEL = 91e-6  # kpc^2: 0.2 arcsec squared at 9.84 Mpc (Groves et al. 2023)


def run(
    *, grids: str = "HII-POPSTAR,MAPPINGS", most: int = 50, draws: int = 12_000, n: int = 200,
    rounds: int = 4, parts: str = "flat,population", half: str = "report", seed: int = 0,
) -> dict:  # fmt: skip
    """Lines by equivalent width, and bright regions with each grid.

    Args:
        grids: Names as of `benchmarks.mixtures`, with commas between.
        most: Regions of each half at most.
        draws: Of the prior, for all regions.
        n: Of the posterior of each region.
        rounds: In which the population is learned.
        parts: With commas: "flat" priors, the "population", and "errors" learned under it.
        half: "report" or "look": of the regions to score; what is learned is of the look half.
        seed: Of the draws.
    """
    table, obs, rows = ngc628(harness.data_folder() / "lines" / "phangs_ngc628")
    report = np.zeros(len(obs), bool)
    report[rows] = report_half([obs.names[i] for i in rows])
    width = np.asarray(table["EW_HA6562_fit"], float)
    ends = (*WIDTHS, np.inf)
    results = {"H-alpha, angstrom": {
        f"{low:g} to {high:g}": facts(table, obs, rows[(width[rows] > low) & (width[rows] <= high)])
        for low, high in zip(ends, ends[1:], strict=False)}}  # fmt: skip
    bright = rows[width[rows] > WIDTHS[-1]]
    learn, scored = (bright[report[bright] == (h == "report")] for h in ("look", half))
    learn, scored = (a[:: max(1, -(-len(a) // most))] for a in (learn, scored))
    radius, scal, err = (np.asarray(table[name], float)[scored]
                         for name in ("deproj_r_R25", "met_scal", "met_scal_err"))  # fmt: skip
    scal = scal + err * np.random.default_rng(seed).normal(size=(n, len(scored)))
    results["Scal"] = {"regions": len(scored), **line(radius, scal, seed)}
    for grid in grids.split(","):
        sim = simulator(grid, "mixture", LINES["NGC 628"], tied=0)
        options = {"n": n, "draws": draws, "seed": seed}
        found = of_grid(sim, parts.split(","), obs[learn], obs[scored], radius, rounds, options)
        results |= {f"{grid}, {part}": of_part for part, of_part in found.items()}
    return results


def of_grid(sim, parts, learn: fs.Lines, obs: fs.Lines, radius, rounds: int, options) -> dict:
    """What each part of `run` says of the regions, by one grid."""
    results = {}
    if "flat" in parts:
        results["flat"] = of_priors(sim, {}, obs, radius, **options)
    learned = learned_prior(sim, learn, rounds=rounds, **options)
    if "population" in parts:
        results["population"] = of_priors(sim, learned, obs, radius, **options)
    if "errors" in parts:
        errors = line_errors(sim.with_prior(**learned), learn, rounds=ERRORS, **options)
        misfits = zip(*errors, strict=True)
        results["errors"] = {
            "offset and spread, ln": {line: [float(a), float(b)] for line, a, b in misfits},
        } | of_priors(sim.with_errors(errors), learned, obs, radius, **options)
    return results


def facts(table, obs: fs.Lines, rows) -> dict:
    """Medians of line ratios, free of dust by the catalogue, and of what the regions are."""
    def flux(names):
        return sum(np.asarray(table[f"{name}_FLUX_CORR"], float)[rows] for name in names)

    sulphur = obs.lines.index("[SIII]9069")
    known = obs.state[rows, sulphur] > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = {name: np.log10(flux(top) / flux(bottom)) for name, (top, bottom)
                  in RATIOS.items()}  # fmt: skip
        snr = obs.flux[rows, sulphur] / obs.err[rows, sulphur]
    area = np.asarray(table["region_area"], float)[rows] * PIXEL
    bright = np.log10(np.asarray(table["HA6562_LUM_CORR"], float)[rows] / area)
    return {"regions": len(rows), "log H-alpha, erg/s/kpc2": middle(bright),
            **{name: middle(values) for name, values in ratios.items()},
            "[SIII] without a flux": float((~known).mean()),
            "[SIII], S/N": middle(snr[known])}  # fmt: skip


def of_priors(sim, learned, obs: fs.Lines, radius, *, n: int, draws: int, seed: int) -> dict:
    """Misfits of lines under a population, and the gradient, under that of all but O/H."""
    others = {name: d for name, d in learned.items() if name != "oh"}
    prior, obs = prior_draws(sim.with_prior(**learned), draws, seed=seed), obs.select(sim.lines)

    def draw(rows):
        found = prior.posterior(rows, n, tried=3 * n, seed=seed)
        return found.samples, found.source

    found = left_out(draw, sim, obs)
    flat = prior_draws(sim.with_prior(**others), draws, seed=seed)
    whole = flat.posterior(obs, 2 * n, tried=6 * n, seed=seed)
    oh, ionisation = (whole.samples[..., sim.names.index(name)] for name in ("oh", "log_u"))
    return {
        **{f"mean and spread, {name}": [float(d.base_dist.loc), float(d.base_dist.scale)]
           for name, d in learned.items()},
        "lines": {name: misfit(found, obs, column) for column, name in enumerate(sim.lines)
                  if name not in ASSUMED},
        "ln evidence, mean": float(whole.log_evidence.mean()),
        "effective draws, median": float(np.median(whole.ess)),
        "median error of O/H": float(np.median(oh.std(0))),
        "log U, median": float(np.median(ionisation)),
        "log U of the relation at that O/H": float(ionisation_of_grid(np.median(oh))),
        **line(radius, oh, seed),
    }  # fmt: skip


def line(radius, draws, seed: int) -> dict:
    """Gradient, zero point and scatter, with their errors."""
    found = fs.gradient(radius, draws, seed=seed)
    return {name: [float(values.mean()), float(values.std())] for name, values in
            (("gradient, dex per R25", found.slope), ("at the centre", found.zero),
             ("scatter", found.scatter))}  # fmt: skip
