"""What a model of MOONS has learned: lines that carry redshifts, and what its features tell.

On simulations that it has not seen, made with::

    flowspec simulate moons-coarse --n 1200 --seed 21 -o fresh.h5

The attribution of each right and secure redshift is summed per line (`by_line`). The features are
asked, by linear regression, for quantities that the network was not trained on, and drawn on a map.
"""

from pathlib import Path

import numpy as np

import flowspec as fs
from flowspec import plots
from flowspec.check.attribution import by_line, redshift_attribution
from flowspec.check.embedding import embed_2d
from flowspec.cli.outputs import save
from flowspec.io import read_simulations
from flowspec.plots import learned as plots_learned

REDSHIFTS = (0.6, 1.0, 1.4, 1.8, 2.2, 2.6, 3.0)
QUANTITIES = {"m_h": "$m_H$ [AB mag]", "t_exp": "exposure time [h]",
              "radius": "half-light radius [arcsec]", "quiescent": "quiescent"}  # fmt: skip
DOTS = 300  # of the map that are drawn, which keeps the file small
AT_ONCE = 256  # spectra of which gradients are taken together


def run(
    *,
    model: str = "moons",
    simulations: str = "fresh.h5",
    rows: int = 1200,
    method: str = "umap",
    figures: str = "",
    shown: int = -1,
    seed: int = 0,
) -> dict:
    """Attribute, regress and draw.

    Args:
        model: Name of a shipped model or a model file.
        simulations: File of `flowspec simulate moons-coarse`, not used in training.
        rows: Use so many of its first rows.
        method: Of the map, "umap" or "pca".
        figures: Folder for attribution.png and embedding.png.
        shown: Row whose attribution is drawn; -1 is the first secure one fainter than H = 24.
        seed: Of posterior draws and the map.
    """
    posterior = fs.load(model)
    theta, names, obs = read_simulations(simulations)
    obs, known = obs[:rows], dict(zip(names, theta[:rows].T, strict=True))
    table = posterior.summarize(obs, n=200, seed=seed)
    z = np.asarray(table["z_best"])
    secure = np.asarray(table["z_prob"]) > 0.9
    good = np.flatnonzero(secure & (np.abs(z - known["z"]) < 0.01))
    parts = [good[i : i + AT_ONCE] for i in range(0, len(good), AT_ONCE)]
    shares = np.concatenate([redshift_attribution(posterior, obs[p], z[p]) for p in parts])
    sums = by_line(shares, posterior.wave, z[good])
    features = posterior.summaries(obs)
    if figures:
        faint = np.flatnonzero(known["m_h"][good] > 24)[0]
        row = faint if shown < 0 else int(np.flatnonzero(good == shown)[0])
        of_row = {name: total[row] for name, total in sums.items()}
        draw_attribution(figures, obs[[good[row]]], shares[row], z[good[row]], of_row)
        points = embed_2d(features, method=method, seed=seed)
        draw_map(figures, points[:DOTS], {n: v[:DOTS] for n, v in known.items()})
    return {
        "right and secure": len(good) / len(obs),
        "share of attribution": carried(sums, {n: v[good] for n, v in known.items()}),
        "held-out R2 of linear regression": {n: told(features, known[n]) for n in QUANTITIES},
    }


def carried(sums: dict[str, np.ndarray], known: dict[str, np.ndarray], least: float = 0.03) -> dict:
    """Shares of the summed attribution by type and redshift: lines with at least `least` of it."""
    out = {}
    for kind, name in enumerate(("star-forming", "quiescent")):
        for low, high in zip(REDSHIFTS[:-1], REDSHIFTS[1:], strict=True):
            rows = (known["quiescent"] == kind) & (known["z"] >= low) & (known["z"] < high)
            if rows.sum() < 10:
                continue
            each = {line: float(total[rows].sum()) for line, total in sums.items()}
            whole = sum(each.values())
            largest = sorted(each.items(), key=lambda line: -line[1])
            out[f"{name}, z {low}-{high}, n {rows.sum()}"] = {
                line: value / whole for line, value in largest if value >= least * whole
            }
    return out


def told(features: np.ndarray, values: np.ndarray, ridge: float = 1.0) -> float:
    """Share of the variance of one half's values that a linear fit to the other half explains."""
    scatter = features.std(0)
    x = (features - features.mean(0)) / np.where(scatter > 0, scatter, 1)
    x = np.column_stack([np.ones(len(x)), x])
    fitted, held = slice(0, None, 2), slice(1, None, 2)
    normal = x[fitted].T @ x[fitted] + ridge * np.eye(x.shape[1])
    left = values[held] - x[held] @ np.linalg.solve(normal, x[fitted].T @ values[fitted])
    return float(1 - left.var() / values[held].var())


def draw_attribution(folder, one: fs.Spectra, shares, z, sums) -> None:
    """The spectrum over its attribution, and the lines that carried its redshift."""
    figure, axes = plots.canvas(2, 1, size=(9.0, 2.8))
    plots_learned.attributed(axes[0, 0], one.wave, one.flux[0], one.ivar[0], shares, float(z), sums)
    plots_learned.line_shares(axes[1, 0], sums)
    save(figure, Path(folder) / "attribution.png")


def draw_map(folder, points, known) -> None:
    """The map of features coloured by what the network was not trained on."""
    figure, axes = plots.canvas(2, 2, size=(3.1, 2.5))
    for ax, (name, text) in zip(axes.flat, QUANTITIES.items(), strict=True):
        values = known[name] == 1 if name == "quiescent" else known[name]
        plots_learned.embedding(ax, points, values, text)
    save(figure, Path(folder) / "embedding.png")
