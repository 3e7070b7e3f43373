"""Real nebulae: abundances of galaxies with direct temperatures, and the gradient of NGC 628.

Direct method: 391 galaxies of DESI (Scholte et al. 2025, MNRAS 540, 1800), strong lines only, as
ratios free of dust. Photoionisation models lie above direct O/H by a known offset: the scatter
about the median offset is what counts, and whether the stated errors cover it. 14 of the 374
galaxies with [N II] have a direct N/O that is not measured, its 16 to 84 % interval 5 dex wide:
abundances whose half-interval is not below `TOLD` are left out, and counted in the results.

NGC 628: 1,430 nebulae of PHANGS-MUSE (Groves et al. 2023, MNRAS 520, 4902), observed fluxes; the
radial gradient of O/H next to that of the catalogue's own Scal calibration, for the same nebulae;
also by exact posteriors, and without [S III], which the models have far too strong: where no model
gives the lines, a network has learned nothing.

Predicted lines: for both samples and models, how far the measured fluxes are from the predicted
ones, line by line (`flowspec.check.predictive`): from all lines, and from all others.

Data: `FLOWSPEC_TEST_DATA`.
"""

from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import Table

import flowspec as fs
from benchmarks import harness, predictive, scores
from benchmarks.cloudy_grids import simulator
from flowspec import plots
from flowspec.cli.outputs import save

HALPHA = 2.86  # over H-beta, case B at 10^4 K, to which the ratios were corrected
ASSUMED = ("Hbeta", "Halpha")  # in the ratios free of dust
STARS = "HII"  # class of the sources that these galaxies may have
WEIGHED = 8000  # draws of the flow for an exact posterior
TOLD = 0.5  # dex, error of a direct abundance that was measured


def run(
    *,
    model: str = "cloudy",
    tied: str = "nebula",
    draws: int = 1000,
    predicted: int = 300,
    figures: str = "",
    seed: int = 0,
) -> dict:
    """Both samples.

    Args:
        model: Name of a shipped model or a model file that knows O/H and N/O.
        tied: One whose N/O follows O/H, for lines that cannot tell the two apart.
        draws: Posterior draws per object.
        predicted: Posterior draws per object and line behind the predicted lines; 0 for none.
        figures: Folder for abundances.png, gradient.png and predictive.png.
        seed: Of the draws.
    """
    folder = harness.data_folder() / "lines"
    galaxies, nebulae = folder / "direct_te", ngc628(folder / "phangs_ngc628")
    models = {name: fs.load(name) for name in (model, tied)}
    sims = {name: simulator(posterior) for name, posterior in models.items()}
    results = {
        "direct method": direct(models[model], galaxies, draws, figures, seed),
        f"NGC 628, {tied}": gradient(models[tied], sims[tied], *nebulae, draws, figures, seed),
        f"NGC 628, {model}": gradient(models[model], sims[model], *nebulae, draws, "", seed),
    }
    if predicted:
        ratios = from_ratios(Table.read(galaxies / "scholte2025_desi_ratios.fits"))
        samples = {"DESI": (ratios, True), "NGC 628": (nebulae[1][nebulae[2]], False)}
        results["predicted lines"] = predict_lines(models, sims, samples, predicted, figures, seed)
    return results


def predict_lines(models, sims, samples, draws: int, figures: str, seed: int) -> dict:
    """Residuals of each sample's lines under each model."""
    results, panels = {}, {}
    for name, posterior in models.items():
        sim = sims[name]
        for sample, (obs, dereddened) in samples.items():
            draw = partial(given_stars, posterior, draws=draws, seed=seed, dereddened=dereddened)
            found = predictive.check(draw, sim, obs, dereddened=dereddened)
            assumed = ASSUMED if dereddened else ()
            title = f"{sample}, {name}"
            results[title] = predictive.scores(found, sim, obs, assumed)
            panels[title] = found, sim.lines, tuple(results[title])
    if figures:
        predictive.draw_residuals(figures, panels)
    return results


def direct(posterior, folder: Path, draws: int, figures: str, seed: int) -> dict:
    """O/H and N/O by the posterior given stars, against those by the direct method."""
    ratios = Table.read(folder / "scholte2025_desi_ratios.fits")
    truth = Table.read(folder / "scholte2025_desi.fits")
    obs = from_ratios(ratios)
    samples, _ = given_stars(posterior, obs, draws, seed, dereddened=True)
    results = {"objects": len(obs)}
    found, direct_values = {}, {}
    nitrogen = obs.state[:, obs.lines.index("[NII]6584")] > 0
    for name, column, rows in (("oh", "OH", nitrogen | True), ("no", "NO", nitrogen)):
        levels = [np.asarray(truth[f"{column}_{p}"], float) for p in ("p16", "p50", "p84")]
        told = rows & ((levels[2] - levels[0]) / 2 < TOLD)
        left, rows = int((rows & ~told).sum()), told
        known_low, known, known_high = (level[rows] for level in levels)
        drawn = samples[:, rows, posterior.names.index(name)]
        low, middle, high = np.percentile(drawn, [16, 50, 84], axis=0)
        away = middle - known
        offset = np.median(away)
        sigma = np.hypot((high - low) / 2, (known_high - known_low) / 2)
        covered = [float((np.abs(away - offset) < k * sigma).mean()) for k in (1, 2)]
        results[name] = {
            "objects": len(known),
            f"left out, direct error above {TOLD} dex": left,
            "offset": float(offset),
            "scatter (standard deviation)": float(np.std(away)),
            "scatter (NMAD)": scores.nmad(away),
            "correlation": float(np.corrcoef(middle, known)[0, 1]),
            "median stated sigma": float(np.median((high - low) / 2)),
            "residuals within 1 and 2 sigma of both errors": covered,
        }
        found[name], direct_values[name] = (low, middle, high), known
    if figures:
        draw_abundances(figures, found, direct_values)
    return results


def given_stars(posterior, obs: fs.Lines, draws: int, seed: int, *, dereddened: bool):
    """Draws [draws, rows, params] under the sources that are stars, and the numbers of their
    sources [draws, rows]."""
    source = STARS if STARS in posterior.classes else None
    return posterior.sample_sources(obs, draws, seed=seed, source=source, dereddened=dereddened)


def from_ratios(t: Table) -> fs.Lines:
    """Fluxes relative to H-beta, with the errors of the ratios."""
    def flux(column, times=1.0):
        low, middle, high = (np.asarray(t[f"{column}_{p}"], float) for p in ("p16", "p50", "p84"))
        value = 10**middle * times
        err = value * np.log(10) * np.maximum((high - low) / 2, 0.002)
        bad = ~np.isfinite(value) | (middle < -5)
        return np.where(bad, np.nan, value), np.where(bad, np.nan, err)

    oii, oii_err = flux("logR2")
    columns = {
        "[OII]3726,3729": (oii, oii_err),
        "[OIII]5007": flux("logR3"),
        "[NII]6584": flux("logN2", HALPHA),
        "[SII]6717,6731": flux("logS2", HALPHA),
        "[NeIII]3869": flux("logNe3O2", oii),
    }
    one = np.ones(len(t))
    columns |= {"Hbeta": (one, 0.005 * one), "Halpha": (HALPHA * one, 0.01 * one)}
    values, errors = (np.stack(c, axis=1) for c in zip(*columns.values(), strict=True))
    return fs.Lines(tuple(columns), values, errors, names=[str(i) for i in t["TARGETID"]])


def ngc628(folder: Path) -> tuple[Table, fs.Lines, np.ndarray]:
    """The catalogue, its fluxes, and numbers of the rows that are H II regions by their class."""
    path = folder / "ngc628_nebulae.fits"
    table, obs = Table.read(path), fs.read_lines(path)
    # exactly 0 with an error is a fit at its bound, no measurement
    measured = np.where(obs.flux == 0, np.nan, obs.flux)
    obs = fs.Lines(obs.lines, measured, obs.err, names=obs.names)
    known = np.asarray(table["met_scal"], float)
    hii = (np.asarray(table["BPT_NII"]) == 0) & np.isfinite(known) & (obs.snr > 3)
    return table, obs, np.flatnonzero(hii)


def gradient(
    posterior, sim, table, obs: fs.Lines, rows, draws: int, figures: str, seed: int
) -> dict:
    """O/H along the radius of NGC 628, from its H II regions."""
    found = posterior.summarize(obs, n=draws, seed=seed)
    known = np.asarray(table["met_scal"], float)
    radius = np.asarray(table["deproj_r_R25"], float)
    samples, _ = given_stars(posterior, obs[rows], draws, seed, dereddened=False)
    oh = np.percentile(samples[..., posterior.names.index("oh")], [16, 50, 84], axis=0)
    lines = {
        "flowspec": slope(radius[rows], oh[1], seed),
        "Scal of the catalogue": slope(radius[rows], known[rows], seed),
    }
    if figures:
        draw_gradient(figures, radius[rows], oh[1], known[rows], lines)
    known_lines = (("refined", ()), ("refined, without [SIII]", ("[SIII]9069",)))
    for title, absent in known_lines if len(posterior.sources) == 1 else ():
        values, worth = refined(posterior, sim, obs[rows], absent, seed)
        lines[title] = slope(radius[rows], values, seed)
        lines[f"{title}: effective draws of {WEIGHED}, median"] = worth
    strange = (np.asarray(found["flags"]) & fs.Flag.OUT_OF_DISTRIBUTION) > 0
    agn = np.asarray(table["BPT_NII"]) == 3
    results = {
        "nebulae": len(obs), "H II regions": len(rows),
        "dex per R25, error; dex at the centre": lines,
        "scatter about the line, dex": {
            "flowspec": scatter(radius[rows], oh[1]),
            "Scal": scatter(radius[rows], known[rows])},
        "median stated sigma": float(np.median((oh[2] - oh[0]) / 2)),
        "correlation with Scal": float(np.corrcoef(oh[1], known[rows])[0, 1]),
        "share flagged out of distribution": float(strange.mean()),
        "share of H II regions flagged": float(strange[rows].mean()),
    }  # fmt: skip
    if len(posterior.sources) > 1:
        stars = np.asarray(found[f"p_{STARS}"])
        results["mean probability of stars"] = {
            "H II regions": float(stars[rows].mean()),
            "AGN or shock-like by [N II]": float(stars[agn].mean())}
    return results


def refined(posterior, sim, obs: fs.Lines, absent, seed: int) -> tuple[np.ndarray, float]:
    """Median O/H of each row by the exact posterior without some lines, and how many draws it is
    worth."""
    names = [line for line in obs.lines if line not in absent]
    found = posterior.refine(
        obs.select(names), sim.log_likelihood, 500, draws=WEIGHED, seed=seed
    )
    oh = np.median(found.samples[..., posterior.names.index("oh")], axis=0)
    return oh, float(np.median(found.ess))


def slope(x: np.ndarray, y: np.ndarray, seed: int) -> list[float]:
    """Slope of a straight line, its error by 500 bootstraps, and the value at zero."""
    rng, fits = np.random.default_rng(seed), []
    for _ in range(500):
        rows = rng.integers(len(x), size=len(x))
        fits.append(np.polyfit(x[rows], y[rows], 1))
    best = np.polyfit(x, y, 1)
    return [float(best[0]), float(np.std(fits, axis=0)[0]), float(best[1])]


def scatter(x: np.ndarray, y: np.ndarray) -> float:
    """NMAD about the straight line."""
    return scores.nmad(y - np.polyval(np.polyfit(x, y, 1), x))


def draw_abundances(folder, found, known) -> None:
    """Posterior against direct method."""
    figure, axes = plots.canvas(1, 2, size=(4.2, 4.0))
    titles = {"oh": "12 + log(O/H)", "no": "log(N/O)"}
    for ax, (name, (low, middle, high)) in zip(axes[0], found.items(), strict=True):
        x = known[name]
        ax.errorbar(x, middle, [middle - low, high - middle], fmt=".", ms=3, lw=0.5, alpha=0.6)
        ends = np.percentile(x, [0.5, 99.5])
        offset = float(np.median(middle - x))
        ax.plot(ends, ends, "k-", lw=0.8, label="equal")
        ax.plot(ends, ends + offset, "k--", lw=0.8, label=f"offset {offset:+.2f}")
        ax.set(xlabel=f"{titles[name]}, direct method", ylabel=f"{titles[name]}, strong lines",
               xlim=ends + [-0.1, 0.1])
        ax.locator_params(nbins=6)
        ax.legend(frameon=False, fontsize=8)
    save(figure, Path(folder) / "abundances.png")


def draw_gradient(folder, radius, oh, scal, lines) -> None:
    """O/H against radius by both."""
    figure, axes = plots.canvas(size=(6.5, 4.2))
    ax = axes[0, 0]
    ends = np.array([0.0, radius.max()])
    for (name, (value, error, centre)), y, colour in zip(
        lines.items(), (oh, scal), ("C0", "C1"), strict=True
    ):
        ax.plot(radius, y, ".", ms=3, alpha=0.35, color=colour)
        ax.plot(ends, centre + value * ends, color=colour,
                label=f"{name}: {value:+.2f} ± {error:.2f} dex per $R_{{25}}$")
    ax.set(xlabel="deprojected radius [$R_{25}$]", ylabel="12 + log(O/H)")
    ax.legend(frameon=False, fontsize=9)
    save(figure, Path(folder) / "gradient.png")
