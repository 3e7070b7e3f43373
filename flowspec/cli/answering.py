"""All rows of the command line answered by one model, block by block."""

from argparse import Namespace
from collections.abc import Iterator
from typing import NamedTuple

from astropy.table import Table

from flowspec.cli.inputs import observations
from flowspec.data.observation import Observation
from flowspec.io.blocks import OPTIONS, WORDS
from flowspec.io.source import blaming
from flowspec.posterior.answers import Answers
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.summary import summarized, with_silent
from flowspec.prior.galaxies import Population


class Answered(NamedTuple):
    """Rows that one model answers.

    Attributes:
        model: Its name, as on the command line.
        posterior: The model.
        obs: The rows, as it takes them.
        table, answers: What it says of them.
    """

    model: str
    posterior: Posterior
    obs: Observation
    table: Table
    answers: Answers


class OneModel:
    """All rows by one model.

    Args:
        args: Arguments of a command.
        model: A name or file.
        tells: Whether a column of the table says which it is.

    Raises:
        ValueError: If an option is not for the model's data.
        OSError: If there is no such model.
    """

    def __init__(self, args: Namespace, model: str, *, tells: bool = False):
        self.posterior = load(model)
        self.frame = self.posterior.model.frame
        self.options = options_of(args, self.posterior, model)
        self.model, self._args, self._tells = model, args, tells

    def blocks(self) -> Iterator[tuple[Table, list[Answered]]]:
        """The table of some rows, and its parts by model."""
        rows = 0
        for obs in observations(self._args, self.frame):
            table, answers = summarized(self.posterior, obs, **self.options, first=rows)
            table = table if self._args.dereddened else with_silent(table, self.posterior)
            if self._tells:
                table = told(table, self.model)
            rows += len(obs)
            yield table, [Answered(self.model, self.posterior, obs, table, answers)]


def told(table: Table, model: str) -> Table:
    """The table with the column ``model``, after the names of rows."""
    table.add_column([model] * len(table), 1, "model")
    table["model"].description = "shipped model that was chosen for the row"
    return table


def options_of(args: Namespace, posterior: Posterior, model: str) -> dict:
    """Of `summarized`, after options that the model's data do not have are refused."""
    kind = posterior.model.frame.kind
    if kind not in OPTIONS:
        raise ValueError(f"{model}: expected a model of spectra or lines; got one of {kind}")
    for other in set(OPTIONS) - {kind}:
        for option in OPTIONS[other]:
            if getattr(args, option):
                raise ValueError(f"expected --{option.replace('_', '-')} only with a model of "
                                 f"{WORDS[other]}; got a model of {WORDS[kind]}")
    if args.redshift_pdf and posterior.model.space.redshift is None:
        raise ValueError(f"expected --redshift-pdf only with a model of redshifts; got parameters "
                         f"{', '.join(posterior.names)}")
    if args.redshift_pdf and args.population:
        raise ValueError("expected --redshift-pdf without --population, which weights draws; "
                         "--samples has their redshifts")
    options = {"n": args.num_samples, "seed": args.seed}
    options |= {"dereddened": args.dereddened, "by_name": args.by_name, "total": args.total}
    if args.population:
        with blaming(model):
            options["population"] = Population(posterior.model.space.priors[0])
    return options
