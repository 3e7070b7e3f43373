"""The table of some rows, and the answers that it was made from: nothing is worked out twice."""

from astropy.table import Table

from flowspec.data.observation import Observation
from flowspec.posterior.answers import Answers, answered, no_data, silenced
from flowspec.posterior.asked import draw_count, row_numbers
from flowspec.posterior.table import summary_table


def summarized(
    posterior, obs: Observation, *, n: int = 500, seed: int = 0, first: int = 0,
    by_name: bool = False, dereddened: bool = False, progress: bool = False, population=None,
) -> tuple[Table, Answers]:  # fmt: skip
    """The table of `flowspec.Posterior.summarize`, with its arguments, and the answers in it."""
    model = posterior.model
    obs, n = model.frame.seen(obs, dereddened), draw_count(n)
    judged, numbers = model.frame.judged(obs), row_numbers(obs, first, by_name)
    answers = answered(posterior, obs, n, seed, numbers, population, progress)
    answers = silenced(answers, no_data(judged[0]))
    rest = answers, posterior.recalibration
    return summary_table(model.space, model.frame, obs, judged, *rest), answers
