"""What observers decide by: how much of a survey is right, by magnitude, exposure, redshift, lines.

Truths are a table with the columns `z`, `log_mstar`, `log_sfr`, `m_h`, `t_exp`, `quiescent` and
`line_snr`; answers one with `z_best`, `z_prob`, and the percentiles `LEVELS` of each of `LABELS` as
columns of shape [rows, 5] (`answers`). A redshift is right where ``|dz| < LIMIT``, the success of
M-TOPnet (Ginolfi et al. 2025, A&A 693, A73).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from astropy.table import QTable, Table
from jaxtyping import Bool, Float

from flowspec.check.redshift import wilson
from flowspec.posterior.redshift import LIMIT

LEVELS = (2.5, 16, 50, 84, 97.5)  # percentiles
LABELS = ("log_mstar", "log_sfr")
THRESHOLDS = (0.5, 0.9, 0.97)  # of z_prob, above which a redshift is kept
TYPES = ("star-forming", "passive")
NEEDED = ("z", *LABELS, "m_h", "t_exp", "quiescent")
MAGNITUDES = (21.0, 22.0, 23.0, 23.5, 24.0, 24.5, 25.0, 25.5)
EDGES = {
    "m_h": MAGNITUDES,
    "z": (0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8, 3.0),
    "line_snr": (0.0, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 50.0, 100.0, np.inf),
}
# Success expected of a development version of M-TOPnet, by the same group: H (AB), share.
PUBLISHED = np.array(
    [[22.0, 0.94], [23.5, 0.94], [24.1, 0.907], [24.5, 0.842], [24.9, 0.736], [25.3, 0.585],
     [25.7, 0.431], [25.9, 0.378]]
)  # fmt: skip


def answers(
    samples: Float[np.ndarray, "n batch params"],
    names: Sequence[str],
    z_best: Float[np.ndarray, " batch"],
    z_prob: Float[np.ndarray, " batch"],
) -> Table:
    """The table of answers from posterior draws and the best redshifts."""
    table = Table({"z_best": np.asarray(z_best), "z_prob": np.asarray(z_prob)})
    for name in LABELS:
        draws = samples[..., list(names).index(name)]
        table[name] = np.percentile(draws, LEVELS, axis=0).T
    return table


def is_right(truth: Table, answer: Table) -> Bool[np.ndarray, " rows"]:
    """Whether each best redshift is right."""
    return np.abs(np.asarray(answer["z_best"]) - np.asarray(truth["z"])) < LIMIT


def moonrise(truth: Table) -> Bool[np.ndarray, " rows"]:
    """The selection of M-TOPnet's test like the MOONRISE survey.

    H < 25, z < 2.6, passive galaxies exposed for 8 hours and star-forming ones for 2.
    """
    hours = np.where(truth["quiescent"] > 0, 8.0, 2.0)
    return np.asarray((truth["m_h"] < 25) & (truth["z"] < 2.6) & (truth["t_exp"] == hours))


def report(truth: Table, answer: Table) -> QTable:
    """One row per group, quantity and bin; bins without a galaxy are left out.

    Groups are all galaxies, the selection `moonrise`, each type, and each exposure time. Within
    each, the quantity `all` is one row, and the others are cut at `EDGES`, or have a row per value
    (`t_exp` in hours; `quiescent`, 0 and 1).

    Returns:
        `group`, `quantity`, `low`, `high` (of the bin), `middle` (median of the quantity in it),
        and the columns of `scores`.
    """
    rows = []
    for group, member in groups(truth).items():
        for quantity, low, high, inside in bins(truth):
            chosen = member & inside
            if chosen.any():
                middle = np.nan if quantity == "all" else np.median(truth[quantity][chosen])
                own = {"low": low, "high": high, "middle": float(middle)}
                own |= scores(truth[chosen], answer[chosen])
                rows.append({"group": group, "quantity": quantity} | own)
    meta = {"limit": LIMIT, "thresholds": list(THRESHOLDS), "rows": len(truth)}
    return QTable(rows, meta=meta)


def groups(truth: Table) -> dict[str, Bool[np.ndarray, " rows"]]:
    """Members of each group of galaxies."""
    passive, hours = np.asarray(truth["quiescent"] > 0), np.asarray(truth["t_exp"])
    found = {"all": np.ones(len(truth), bool), "moonrise": moonrise(truth)}
    found |= {TYPES[0]: ~passive, TYPES[1]: passive}
    return found | {f"{t:g} h": hours == t for t in np.unique(hours)}


def bins(truth: Table) -> Iterator[tuple[str, float, float, Bool[np.ndarray, " rows"]]]:
    """Quantity, its limits, and which galaxies are between them (the upper one excluded)."""
    yield "all", -np.inf, np.inf, np.ones(len(truth), bool)
    for quantity, edges in EDGES.items():
        value = np.asarray(truth[quantity])
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            yield quantity, low, high, (value >= low) & (value < high)
    for quantity in ("t_exp", "quiescent"):
        for value in np.unique(truth[quantity]):
            yield quantity, float(value), float(value), np.asarray(truth[quantity] == value)


def scores(truth: Table, answer: Table) -> dict[str, float | int]:
    """Scores of some galaxies, at least one.

    Returns:
        `n`; `success` with `success_low` and `success_high` (68 %, `wilson`); for each of
        `THRESHOLDS`, as in `purity_90`, the share of right redshifts among those with a higher
        `z_prob` (NaN if there is none), and as in `completeness_90` the share of all galaxies that
        are both; and for each of `LABELS` what `label_scores` gives.
    """
    right, probability = is_right(truth, answer), np.asarray(answer["z_prob"])
    ((low,), (high,)) = wilson(np.array([right.mean()]), np.array([len(right)]))
    row = {"n": len(right), "success": right.mean(), "success_low": low, "success_high": high}
    for threshold in THRESHOLDS:
        kept = probability > threshold
        percent = f"{100 * threshold:g}"
        row[f"purity_{percent}"] = right[kept].mean() if kept.any() else np.nan
        row[f"completeness_{percent}"] = (right & kept).mean()
    for name in LABELS:
        found = label_scores(np.asarray(answer[name]), np.asarray(truth[name]))
        row |= {f"{name}_{score}": value for score, value in found.items()}
    return row


def label_scores(
    percentiles: Float[np.ndarray, "rows 5"], label: Float[np.ndarray, " rows"]
) -> dict[str, float]:
    """How well percentiles `LEVELS` agree with true values.

    A calibrated posterior has no offset and covers as stated among galaxies chosen at random, or by
    what is known of them, but not among those chosen by a truth that the spectra do not show: where
    few are passive, a spectrum that tells nothing is taken for that of a star-forming galaxy.

    Returns:
        With ``d`` the median minus the truth: `offset`, median of ``d``; `nmad`, scatter about it,
        ``1.4826 median |d - median(d)|``; `inside_68` and `inside_95`, shares of truths inside the
        central intervals.
    """
    lowest, low, median, high, highest = percentiles.T
    difference = median - label
    offset = np.median(difference)
    return {
        "offset": offset,
        "nmad": 1.4826 * np.median(np.abs(difference - offset)),
        "inside_68": ((label >= low) & (label <= high)).mean(),
        "inside_95": ((label >= lowest) & (label <= highest)).mean(),
    }
