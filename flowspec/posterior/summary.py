"""The table of some rows, and the answers that it was made from: nothing is worked out twice."""

import numpy as np
from astropy.table import Table
from jaxtyping import Int

from flowspec.data.observation import Observation
from flowspec.posterior.answers import Answers, answered, no_data, silenced
from flowspec.posterior.aperture import measured
from flowspec.posterior.asked import draw_count, row_numbers
from flowspec.posterior.columns import described
from flowspec.posterior.table import add_percentiles, summary_table


def summarized(
    posterior, obs: Observation, *, n: int = 500, seed: int = 0,
    first: int | Int[np.ndarray, " batch"] = 0, by_name: bool = False,
    dereddened: bool = False, progress: bool = False, population=None, total=None,
) -> tuple[Table, Answers]:  # fmt: skip
    """The table of `flowspec.Posterior.summarize`, with its arguments, and the answers in it.

    Here ``first`` may be the number of every row [batch] as well.
    """
    model, n = posterior.model, draw_count(n)
    whole = measured(model, obs, total)
    obs = model.frame.seen(obs, dereddened)
    judged, numbers = model.frame.judged(obs), row_numbers(obs, first, by_name)
    answers = answered(posterior, obs, n, seed, numbers, population, progress)
    answers = silenced(answers, no_data(judged[0]))
    totals = whole and whole.totals(answers.samples, posterior.names, seed, numbers)
    rest = answers, posterior.recalibration, totals
    table = summary_table(model.space, model.frame, obs, judged, *rest)
    if posterior.stretch is not None:
        posterior.stretch.note(table, posterior.names)
    return table, answers


def with_silent(table: Table, posterior) -> Table:
    """With NaN for parameters of which all rows of a block say nothing: those of others may."""
    for name in posterior.names:
        if f"{name}_p50" not in table.colnames:
            add_percentiles(table, name, np.full((1, len(table)), np.nan, np.float32))
    return described(table, posterior.model.space)
