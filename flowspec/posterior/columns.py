"""What every column of the table of results is, and in which unit."""

from collections.abc import Iterator, Sequence

import astropy.units as u
from astropy.table import Table

from flowspec.data.extra import LABELS
from flowspec.data.flags import Flag
from flowspec.model.space import Space, class_of
from flowspec.prior.parameters import EXTENSIVE, PARAMETERS

Unit = u.UnitBase | u.function.FunctionUnitBase  # the latter of logarithms
PERCENTILES = (16, 50, 84)
DIGITS = ".6g"  # float32 holds no more, and 500 draws tell less

_ABOUT = {
    "name": "name of the file or row",
    "source": "most probable source",
    "class": "most probable kind of object",
    "snr": "median signal-to-noise ratio per good pixel or measured line",
    "coverage": "share of the model's wavelengths with good pixels",
    "lines": "lines of the model that were measured or limited",
    "limits": "upper limits among the lines",
    "columns": "columns of the model that there are",
    "p_value": "share of simulations at least as far from the middle of the simulations, in the "
               "space of summaries",
    "misfit": "share of simulations whose data are at least as unlike their reconstruction",
    "unlike_at": "where the data are least like their reconstruction, if misfit is little",
    "z_blend": "redshift of a second object in the spectrum, of rows flagged blend",
    "blend_ln_evidence": "natural log of the evidence for two objects over that for one",
    "fit_p_value": "share of simulations whose best fit is at least as odd",
    "fit_odd_at": "what is oddest about the best fit, if fit_p_value is little",
    "log_evidence": "natural log of the density of the data under the forward model",
    "prior_edge": "parameters whose posterior lies at a limit of the prior",
    "prior_dominated": "parameters whose posterior is as wide as the prior",
    "ess": "effective number of draws after weighting",
    "flags": "sum of bits: " + ", ".join(f"{f.value} {f.name.lower()}" for f in Flag),
    "flag_names": "names of the bits in flags",
    "notes": "what is wrong with the data",
}  # fmt: skip


def described(table: Table, space: Space) -> Table:
    """The same table with units, descriptions and a number of digits on all columns it knows.

    Columns stay plain arrays that carry a unit, as in `astropy.table.Table`. Logarithms are in
    ``dex`` of what they are the logarithm of.

    Args:
        table: Of results.
        space: Of the model that made it.
    """
    table = Table(table, copy=False)
    known = dict(_columns(space))
    for name in table.colnames:
        column = table[name]
        if name in known:
            column.description, column.unit = known[name]
            if column.dtype.kind == "f":
                column.format = DIGITS
        elif name in LABELS:
            column.description, column.unit = LABELS[name].about, LABELS[name].unit or None
        elif not column.description:
            column.description = "as the input gives it"  # what a user has rows carry along
    return table


def described_of_models(table: Table) -> Table:
    """The same table, of rows of several models, where no column says the limits of one."""
    for name, (about, unit) in _of_redshift(", of the column model,"):
        if name in table.colnames:
            table[name].description, table[name].unit = about, unit
    return table


def in_order(names: Sequence[str]) -> list[str]:
    """Names of columns, those of labels after the name of the row."""
    labels = [name for name in LABELS if name in names]
    rest = [name for name in names if name not in LABELS]
    return [*rest[:1], *labels, *rest[1:]]


def _columns(space: Space) -> Iterator[tuple[str, tuple[str, Unit | None]]]:
    """Name, description and unit of all that a model of this space can tell."""
    for name, about in _ABOUT.items():
        yield name, (about, None)
    for name in dict.fromkeys((*map(class_of, space.sources), *space.sources)):
        if space.of_objects:
            yield f"p_{name.lower()}", (f"probability that the object is a {name}", None)
        else:
            yield f"p_{name}", (f"probability that the source is {name}", None)
    for name in space.names:
        for level in PERCENTILES:
            about, unit = _about(name, _where(name, space)), _unit(name)
            yield f"{name}_p{level}", (f"{level}th percentile of {about}", unit)
            if name in EXTENSIVE:
                about = _about(name, " in the whole galaxy")
                yield f"{name}_total_p{level}", (f"{level}th percentile of {about}", unit)
    yield "log_total_over_aperture", ("light of the whole galaxy over that in the spectrum, log10, "
                                      "in the band of the total magnitude", u.dex)
    if space.redshift is not None:
        low, high = space.redshift.low, space.redshift.high
        yield from _of_redshift(f" (redshift {low:g} to {high:g})")


def _of_redshift(limits: str):
    condition = (f"if the object is of the model's prior{limits} and its data are like the "
                 "simulations")
    each = "up to five peaks of the redshift posterior, z_best first"
    about = {
        "z_best": f"redshift of the window of +-0.01 with most of the posterior, {condition}",
        "z_prob": f"probability that z_best is right to 0.01, {condition}",
        "z_peaks": f"redshifts of {each}",
        "z_peak_sigmas": f"standard deviations within +-0.01 of {each}",
        "z_peak_probs": f"probabilities within +-0.01 of {each}; {condition}",
    }
    for name, text in about.items():
        yield name, (text, None)


def _where(name: str, space: Space) -> str:
    """What of a galaxy a parameter is of: a spectrum knows no more than its aperture holds."""
    galaxies = any(extensive in space.names for extensive in EXTENSIVE)
    return " in the aperture" if galaxies and name != "z" else ""


def _about(name: str, where: str = "") -> str:
    """A parameter in words, with what it is the logarithm of; of one's own, its name."""
    if name not in PARAMETERS:
        return name
    about, unit = PARAMETERS[name].about + where, PARAMETERS[name].unit
    return f"{about}, {unit}" if "log10" in unit else about


def _unit(name: str) -> Unit | None:
    text = PARAMETERS[name].unit if name in PARAMETERS else ""
    _, log, rest = text.partition("log10")
    if not log:
        return u.Unit(text) if text else None
    try:
        return u.dex(u.Unit(rest)) if rest.strip() else u.dex
    except ValueError:  # a ratio of numbers of atoms
        return u.dex
