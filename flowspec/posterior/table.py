"""The table of results: percentiles, best redshift, its probability, sources, flags."""

import numpy as np
from astropy.table import MaskedColumn, Table
from jaxtyping import Bool, Float

from flowspec.data.extra import Extra
from flowspec.data.flags import Flag
from flowspec.data.frame import Frame
from flowspec.model.space import Space, class_of
from flowspec.posterior.answers import Answers, no_data, of_own_kind
from flowspec.posterior.aperture import Totals
from flowspec.posterior.blend import Blend
from flowspec.posterior.candidates import candidate_columns
from flowspec.posterior.columns import PERCENTILES, described
from flowspec.posterior.misfit import LEVEL, Compared
from flowspec.posterior.redshift import Recalibration
from flowspec.posterior.widths import as_wide, at_edge, listed

_LEAST_COVERAGE = 0.1  # of the wavelengths, below which no redshift is told


def summary_table(
    space: Space, frame: Frame, obs, judged: tuple, answers: Answers,
    recalibration: Recalibration, totals: Totals | None = None,
) -> Table:  # fmt: skip
    """One row per object; what is not known is masked. All columns have descriptions and units.

    Columns: ``name``; labels of the input (`flowspec.data.extra`); of models with a redshift
    ``z_best`` (best redshift) and ``z_prob`` (calibrated probability that it is right,
    ``|z_best - z| < 0.01``, of an object inside the prior whose data are like simulations: masked
    where they are not), up to five redshifts, ``z_peaks``, ``z_peak_sigmas`` and ``z_peak_probs``
    [batch, 5], of a second object ``z_blend`` and ``blend_ln_evidence``; of several sources the
    most probable ``source``, every ``p_<class>`` and ``p_<source>``; ``<parameter>_p16``, ``_p50``,
    ``_p84``, of whole galaxies ``<parameter>_total_p16``, and ``log_total_over_aperture`` of their
    light; what the data alone decide: ``snr`` (median), of spectra ``coverage``, of lines ``lines``
    used and ``limits`` among them; ``p_value`` and ``misfit`` (shares of simulations at least as
    far out in summary space, and as unlike their reconstruction), ``unlike_at``; ``prior_edge`` and
    ``prior_dominated``, parameters at a limit of the prior and as uncertain as before; ``ess`` of
    weighted draws; ``flags`` (bits of `flowspec.Flag`), ``flag_names``, ``notes``.

    Args:
        space: Classes and parameters of the model.
        frame: Of its data.
        obs: The observations.
        judged: What the frame finds in them (`Frame.judged`): flags and columns.
        answers: What the posterior says of them.
        recalibration: Of the probability that the best redshift is right.
        totals: Of whole galaxies.
    """
    samples, table = answers.samples, Table({"name": list(obs.names)})
    flags, columns = judged
    flags = flags | np.where(answers.p_value < 1e-3, Flag.OUT_OF_DISTRIBUTION, 0)
    shares = space.by_source(answers.share).sum(2)
    best = shares.argmax(1)
    if answers.found is not None:
        none = (columns["coverage"] < _LEAST_COVERAGE) | ~space.has("z")[best]
        lost = 1 - columns["coverage"]
        flags = flags | _add_redshift(table, answers, recalibration, lost, none, flags)
    table.update(source_columns(space, shares))
    if len(space.sources) > 1:
        flags = flags | np.where(shares.max(1) < 0.9, Flag.UNSURE_SOURCE, 0)
    silent = frame.silent(obs)
    shown = [n for n in space.names if not silent.get(n, np.False_).all()]
    samples = of_own_kind(space, answers)
    for name in shown:
        draws = samples[..., space.names.index(name)]
        draws = np.where(silent[name], np.nan, draws) if name in silent else draws
        add_percentiles(table, name, draws)
    flags, notes = _add_totals(table, totals, flags, obs.notes)
    for name, column in columns.items():
        table[name] = column.astype(samples.dtype) if column.dtype.kind == "f" else column
    table["p_value"] = answers.p_value
    flags = flags | _add_misfit(table, answers.misfit)
    flags = flags | _add_prior(table, space, answers, shown)
    if answers.ess is not None:
        table["ess"] = answers.ess
    table["flags"] = flags
    table["flag_names"], table["notes"] = Flag.describe_all(flags), notes
    table = _masked(table, no_data(flags))
    return described(_labelled(table, obs.extra), space)


def _add_redshift(table: Table, answers: Answers, recalibration, lost, none, flags) -> np.ndarray:
    """``z_best``, ``z_prob``, candidates and second objects, and the flags of redshifts.

    Those of rows with too little of the spectrum, or of kinds of objects that have none, are `none`
    [batch]; `lost` is the share of the wavelengths that is missing [batch].
    """
    unlike = (flags & int(Flag.OUT_OF_DISTRIBUTION)) > 0
    prob = recalibration(np.nan_to_num(answers.found.share, nan=0.5), lost)
    prob = np.where(none | unlike | np.isnan(answers.z_best), np.nan, prob)
    table["z_best"] = np.where(none, np.nan, answers.z_best)
    table["z_prob"] = prob
    if answers.candidates is not None:
        table.update(candidate_columns(answers.candidates, table["z_best"], prob))
    sure = prob >= 0.9
    blend = _add_blend(table, answers.blend, none)
    return blend | np.where(sure, 0, Flag.UNSURE_REDSHIFT) | np.where(
        answers.found.second > 0.1, Flag.MULTIMODAL_REDSHIFT, 0)  # fmt: skip


def _add_prior(table: Table, space: Space, answers: Answers, shown: list[str]) -> np.ndarray:
    """Which parameters are at a limit of the prior and which as wide as it, and the flag of the
    first."""
    edge = at_edge(space, answers)
    table["prior_edge"] = listed(edge, space.names, shown)
    table["prior_dominated"] = listed(as_wide(space, answers), space.names, shown)
    return np.where(edge[:, np.isin(space.names, shown)].any(1), Flag.AT_PRIOR_EDGE, 0)


def _add_misfit(table: Table, misfit: Compared | None) -> np.ndarray | int:
    """How much the data are like simulations, and the flag of those that are not."""
    if misfit is None:
        return 0
    unlike = misfit.p_value < LEVEL
    table["misfit"], table["unlike_at"] = misfit.p_value, np.where(unlike, misfit.where, "")
    return np.where(unlike, Flag.UNLIKE_DATA, 0)


def _add_blend(table: Table, blend: Blend | None, none) -> np.ndarray | int:
    """Second objects, and the flag of rows that have one; of `none` [batch] nothing is told."""
    if blend is None:
        return 0
    for name, column in zip(("z_blend", "blend_ln_evidence"), blend, strict=True):
        table[name] = np.where(none, np.nan, column).astype(np.float32)
    return np.where(np.isfinite(table["z_blend"]), Flag.BLEND, 0)


def _add_totals(table: Table, totals: Totals | None, flags, notes) -> tuple:
    """Percentiles of whole galaxies; the flags and notes of rows, with what keeps them from any."""
    if totals is None:
        return flags, list(notes)
    for name, draws in totals.draws.items():
        add_percentiles(table, f"{name}_total", draws)
    table["log_total_over_aperture"] = totals.whole.log_ratio.astype(np.float32)
    both = zip(notes, totals.whole.notes, strict=True)
    return flags | totals.whole.flags, ["; ".join(filter(None, pair)) for pair in both]


def _labelled(table: Table, extra: Extra) -> Table:
    """The table with labels after the names; one whose name is taken gets a number."""
    if extra:
        places = [1] * len(extra)
        table.add_columns(list(extra.values()), places, list(extra), rename_duplicate=True)
    return table


def _masked(table: Table, none: Bool[np.ndarray, " batch"]) -> Table:
    """The table with what is not known masked, and no source where there is no data."""
    for name in table.colnames:
        if table[name].dtype.kind == "f" and (mask := np.isnan(table[name])).any():
            table[name] = MaskedColumn(table[name], mask=mask)
    for name in {"source", "class"} & set(table.colnames):
        table[name] = np.where(none, "", table[name])
    return table


def source_columns(
    space: Space, share: Float[np.ndarray, "batch sources"]
) -> dict[str, np.ndarray | list]:
    """The best source, and the probability of each and of each class; none of a single one.

    Of kinds of objects it is the ``class``, with probabilities in lower case, as ``p_galaxy``.
    """
    sources = space.sources
    if len(sources) < 2:
        return {}
    if space.of_objects:
        kinds = {f"p_{s.lower()}": p for s, p in zip(sources, share.T, strict=True)}
        return {"class": [sources[k] for k in share.argmax(1)]} | kinds
    columns = {"source": [sources[k] for k in share.argmax(1)]}
    for kind in dict.fromkeys(map(class_of, sources)):
        columns[f"p_{kind}"] = share[:, [class_of(s) == kind for s in sources]].sum(1)
    return columns | {f"p_{s}": p for s, p in zip(sources, share.T, strict=True)}


def add_percentiles(table: Table, name: str, draws: Float[np.ndarray, "n batch"]):
    """The columns of a parameter."""
    levels = np.percentile(draws, PERCENTILES, axis=0)
    if (some := np.isnan(draws).any(0) & ~np.isnan(draws).all(0)).any():
        levels[:, some] = np.nanpercentile(draws[:, some], PERCENTILES, axis=0)
    for level, column in zip(PERCENTILES, levels, strict=True):
        table[f"{name}_p{level}"] = column.astype(draws.dtype)  # no digits that are not there
