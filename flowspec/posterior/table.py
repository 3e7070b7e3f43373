"""The table of results: percentiles, best redshift, its probability, sources, flags."""

from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float, Int

from flowspec.data.flags import Flag
from flowspec.data.frame import Frame
from flowspec.model.space import Space, class_of
from flowspec.posterior.candidates import candidate_columns, candidates
from flowspec.posterior.columns import PERCENTILES, described
from flowspec.posterior.redshift import LIMIT, Recalibration, peaks
from flowspec.prior.prior import Prior


class Answers(NamedTuple):
    """What a posterior says of some rows.

    Attributes:
        samples: Draws [n, batch, params].
        source: Number of the source of each [n, batch].
        share: Probability of each class [batch, classes].
        p_value: Share of simulations at least as far out, in summary space [batch].
        ess: Effective number of draws [batch], where they are weighted.
    """

    samples: Float[np.ndarray, "n batch params"]
    source: Int[np.ndarray, "n batch"]
    share: Float[np.ndarray, "batch classes"]
    p_value: Float[np.ndarray, " batch"]
    ess: Float[np.ndarray, " batch"] | None = None


def summary_table(
    space: Space, frame: Frame, obs, answers: Answers, recalibration: Recalibration
) -> Table:
    """One row per object, with units and descriptions (`flowspec.posterior.columns`).

    Columns: ``name``; what the rows carry along (`flowspec.data.extra`); of models with a redshift
    ``z_best`` (best redshift) and ``z_prob`` (calibrated probability that it is right,
    ``|z_best - z| < 0.01``), and up to five peaks of the posterior [batch, 5], ``z_peaks``,
    ``z_peak_sigmas``, ``z_peak_probs``; of several sources the most
    probable ``source``, every ``p_<class>`` and ``p_<source>``; ``<parameter>_p16``, ``_p50``,
    ``_p84``; what the data alone decide: ``snr`` (median per good pixel or measured line), of lines
    ``lines`` used and ``limits`` among them; ``p_value`` (share of simulations at least as far from
    the middle of the simulations, in summary space); ``flags`` (bits of `flowspec.Flag`),
    ``flag_names``, ``notes``; of weighted draws
    ``ess``, their effective number.

    Args:
        space: Classes and parameters of the model.
        frame: Of its data.
        obs: The observations.
        answers: What the posterior says of them.
        recalibration: Of the probability that the best redshift is right.
    """
    samples, table = answers.samples, Table({"name": list(obs.names)})
    flags, judged = frame.judged(obs)
    shares = answers.share.reshape(len(obs), len(space.sources), space.bins)
    if space.redshift is not None:
        edges = space.redshift.all_edges()
        density, z = shares.sum(1) / np.diff(edges), samples[..., space.names.index("z")]
        found = peaks(edges, density)
        table["z_best"] = best_redshift(z, found.z)
        table["z_prob"] = recalibration(found.share)
        several = candidates(edges, density)
        table.update(candidate_columns(several, z, table["z_best"], table["z_prob"]))
        flags = flags | np.where(found.second > 0.1, Flag.MULTIMODAL_REDSHIFT, 0)
        flags |= np.where(table["z_prob"] < 0.9, Flag.UNSURE_REDSHIFT, 0)
    for name, column in source_columns(space.sources, shares.sum(2)).items():
        table[name] = column
    silent = frame.silent(obs)
    shown = [n for n in space.names if not silent.get(n, np.False_).all()]
    for name in shown:
        draws = samples[..., space.names.index(name)]
        draws = np.where(silent[name], np.nan, draws) if name in silent else draws
        add_percentiles(table, name, draws)
    for name, column in judged.items():
        table[name] = column.astype(samples.dtype) if column.dtype.kind == "f" else column
    table["p_value"] = answers.p_value
    flags |= np.where(_at_edge(space, answers, shown), Flag.AT_PRIOR_EDGE, 0)
    flags |= np.where(answers.p_value < 1e-3, Flag.OUT_OF_DISTRIBUTION, 0)
    table["flags"] = flags
    table["flag_names"] = Flag.describe_all(flags)
    table["notes"] = list(obs.notes)
    if answers.ess is not None:
        table["ess"] = answers.ess
    if obs.extra:  # a name that is taken gets a number
        carried = list(obs.extra.values()), [1] * len(obs.extra), list(obs.extra)
        table.add_columns(*carried, rename_duplicate=True)
    return described(table, space)


def source_columns(
    sources: tuple[str, ...], share: Float[np.ndarray, "batch sources"]
) -> dict[str, np.ndarray | list]:
    """The best source, and the probability of each and of each class; none of a single one."""
    if len(sources) < 2:
        return {}
    columns = {"source": [sources[k] for k in share.argmax(1)]}
    for kind in dict.fromkeys(map(class_of, sources)):
        columns[f"p_{kind}"] = share[:, [class_of(s) == kind for s in sources]].sum(1)
    return columns | {f"p_{s}": p for s, p in zip(sources, share.T, strict=True)}


def _at_edge(space: Space, answers: Answers, shown: list[str]) -> np.ndarray:
    """Whether the draws of the commonest source pile up at a limit of one of `shown`."""
    columns = [space.names.index(n) for n in shown]
    counts = [(answers.source == k).sum(0) for k in range(len(space.sources))]
    common, edge = np.stack(counts).argmax(0), np.zeros(len(answers.p_value), bool)
    for k, prior in enumerate(space.priors):
        rows = common == k
        edge[rows] = at_edge(prior, answers.samples[:, rows], columns)
    return edge


def add_percentiles(table: Table, name: str, draws: Float[np.ndarray, "n batch"]):
    """The columns of a parameter."""
    levels = np.percentile(draws, PERCENTILES, axis=0)
    for level, column in zip(PERCENTILES, levels, strict=True):
        table[f"{name}_p{level}"] = column.astype(draws.dtype)  # no digits that are not there


def best_redshift(
    z: Float[np.ndarray, "n batch"], window: Float[np.ndarray, " batch"]
) -> Float[np.ndarray, " batch"]:
    """Median of the draws that are within `LIMIT` of the best window's redshift, which itself
    knows no detail below the width of a bin, and stands where there is no such draw."""
    inside = np.where(np.abs(z - window) < LIMIT, z, np.nan)
    some = np.isfinite(inside).any(0)
    best = window.astype(z.dtype)
    best[some] = np.nanmedian(inside[:, some], axis=0)
    return best


def at_edge(
    prior: Prior, samples: Float[np.ndarray, "n batch params"], columns=slice(None)
) -> np.ndarray:
    """Whether over 30 % of the draws of a parameter lie within 1 % of one of its prior limits.

    Args:
        prior: Of the draws.
        samples: Draws.
        columns: Numbers of the parameters to look at.
    """
    low, high = (np.asarray(b) for b in prior.bounds(samples))
    margin = np.where(np.isfinite(high - low), 0.01 * (high - low), 0.0)
    ends = (samples < low + margin).mean(0), (samples > high - margin).mean(0)
    return (np.maximum(*ends) > 0.3)[:, columns].any(-1)
