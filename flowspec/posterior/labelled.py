"""What labels say of the widths of a posterior: the most probable shift and stretch of its draws.

The likelihood of a label is the density of the recalibrated draws there, convolved with the error
of the label: a mixture of normal distributions, one per draw, smoothed by Silverman's rule. It has
two numbers, or three, with unit normal priors about no change. Standard errors are those of the
infinitesimal jackknife, the limit of the bootstrap, which holds where posteriors have other shapes
than the errors (Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float
from scipy.special import logsumexp

from flowspec.data.units import without_unit
from flowspec.posterior.answers import located, tilted_chunks, without_data
from flowspec.posterior.landmarks import DRAWS, Landmarks
from flowspec.posterior.redshift import LIMIT
from flowspec.posterior.stretch import Fitted, Stretch, bent

LEAST = 30  # labels, which tell a stretch to 1 / sqrt(2 * 30) = 13 %
_SMOOTH = 1.06 * DRAWS**-0.2  # Silverman's rule, in widths of the draws
_STEP = 1e-3  # of derivatives by differences, of numbers about 1
_SUFFIX = "_err"


class Labels(NamedTuple):
    """Labels of one parameter.

    Attributes:
        value: Of each row, NaN where there is none [batch].
        error: Their standard errors [batch].
    """

    value: Float[np.ndarray, " batch"]
    error: Float[np.ndarray, " batch"]


def labels_of(given: Mapping | Table, names: Sequence[str], rows: int) -> dict[str, Labels]:
    """What `Posterior.calibrate` was given.

    Args:
        given: Parameter to values [batch], NaN or masked where there is none, and perhaps
            ``<parameter>_err`` to standard errors; a column ``name`` is passed over.
        names: Of the parameters.
        rows: Number of observations.

    Raises:
        ValueError: If there are other columns, or no parameter, or numbers of another shape.
    """
    if not isinstance(given, Mapping | Table):
        raise ValueError("expected labels by parameter, such as {'log_mstar': values}; got "
                         f"{type(given).__name__}")
    keys = [key for key in given.keys() if key != "name"]
    labelled = [name for name in names if name in keys]
    unknown = sorted(set(keys) - set(labelled) - {name + _SUFFIX for name in labelled})
    if unknown or not labelled:
        raise ValueError(f"expected labels of parameters among {', '.join(names)}, and of their "
                         f"errors, NAME{_SUFFIX}; got {', '.join(map(str, unknown)) or 'none'}")
    found = {}
    for name in labelled:
        value = _numbers(given[name], f"labels of {name}", rows)
        error = np.zeros(rows)
        if name + _SUFFIX in keys:
            error = _numbers(given[name + _SUFFIX], f"errors of {name}", rows)
        if (error < 0).any():
            raise ValueError(f"expected errors of {name} that are not negative; got {error.min()}")
        found[name] = Labels(np.where(np.isfinite(error), value, np.nan), error)
    return found


def _numbers(values, what: str, rows: int) -> Float[np.ndarray, " batch"]:
    values = np.asarray(without_unit(values, what))
    if values.shape != (rows,) or values.dtype.kind not in "fiu":
        raise ValueError(f"expected {what}, {rows} numbers, one per observation; got "
                         f"{values.dtype} of shape {list(values.shape)}")
    return np.where(np.isfinite(values), values, np.nan).astype(float)


def relabelled(posterior, obs, labels: dict[str, Labels], local: bool):
    """The posterior with shift and stretch of the parameters that have labels.

    Args:
        posterior: `flowspec.Posterior`; whether it has a stretch already changes nothing.
        obs: Observations, as `Frame.seen` has them.
        labels: Of some parameters.
        local: Whether the stretch goes with the signal-to-noise ratio.

    Raises:
        ValueError: If a parameter has fewer than `LEAST` labels.
    """
    space, frame = posterior.model.space, posterior.model.frame
    parts = [located(posterior, chunk, tuple(labels)) for chunk in tilted_chunks(posterior, obs)]
    draws = np.concatenate([np.asarray(found.samples, float) for found, _ in parts], axis=1)
    silent, none = frame.silent(obs), without_data(frame, obs)
    fits = {} if posterior.stretch is None else posterior.stretch.fits(space.names)
    for name, label in labels.items():
        marks = Landmarks.joined([marks[name] for _, marks in parts])
        known = np.isfinite(label.value) & ~none & ~silent.get(name, np.False_)
        if name == "z" and space.redshift is not None:
            known &= np.abs(label.value - marks.middle) < LIMIT
        if known.sum() < LEAST:
            raise ValueError(f"expected at least {LEAST} labels of {name}; got {known.sum()} of "
                             "rows with data" + " and the right redshift" * (name == "z"))
        own = draws[:, known, space.names.index(name)]
        fits[name] = fitted(own, marks.rows(known), *(x[known] for x in label), local=local)
    account = {"calibrate": {name: fit._asdict() for name, fit in fits.items()}}
    return replace(posterior, stretch=Stretch.of(fits, space.names),
                   provenance=posterior.provenance | account)


def fitted(
    draws: Float[np.ndarray, "n rows"], marks: Landmarks, label: Float[np.ndarray, " rows"],
    error: Float[np.ndarray, " rows"], *, local: bool = False,
) -> Fitted:  # fmt: skip
    """The most probable shift and stretch of a parameter.

    Args:
        draws: Of each row that has a label.
        marks: Of these.
        label: Their labels.
        error: Standard errors of the labels.
        local: Whether to fit a slope with log10 S/N as well.
    """
    from scipy.optimize import minimize  # slow to load, and only labels ask for it

    snr = marks.log_snr
    start = Fitted(len(label), snr_low=snr.min(), snr_mean=snr.mean(), snr_high=snr.max())
    place = (marks.limits.free(draws) - marks.middle) / marks.width

    def with_numbers(p) -> Fitted:
        return start._replace(shift=p[0], log_stretch=p[1], slope=p[2] if local else 0.0)

    def scores(p) -> Float[np.ndarray, " rows"]:
        return log_scores(place, with_numbers(p), marks, label, error)

    best = minimize(lambda p: 0.5 * p @ p - scores(p).sum(), np.zeros(2 + local), method="BFGS").x
    errors = _standard_errors(scores, best)
    found = with_numbers(best)._replace(
        shift_error=errors[0], log_stretch_error=errors[1], slope_error=errors[2] if local else 0.0
    )
    return Fitted(*map(float, found))


def log_scores(
    place: Float[np.ndarray, "n rows"], fit: Fitted, marks: Landmarks,
    label: Float[np.ndarray, " rows"], error: Float[np.ndarray, " rows"],
) -> Float[np.ndarray, " rows"]:  # fmt: skip
    """Log density of each label under the recalibrated draws and its error.

    Args:
        place: Draws before, in widths from the middle of their row.
        fit: Shift and stretch.
        marks: Of the rows.
        label: Their labels.
        error: Standard errors of the labels.
    """
    # drawn together by as much as the smoothing widens, so that variances are kept
    moved, log_slope = bent(place * np.sqrt(1 - _SMOOTH**2), fit, marks)
    y = marks.middle + marks.width * moved
    kernel = _SMOOTH * marks.width * np.exp(log_slope + marks.limits.log_slope(y))
    variance = kernel**2 + error**2
    away = (label - marks.limits.bound(y)) ** 2 / variance
    return logsumexp(-0.5 * (away + np.log(2 * np.pi * variance)), axis=0) - np.log(len(place))


def _standard_errors(scores, best) -> Float[np.ndarray, " numbers"]:
    """Infinitesimal jackknife: one Newton step for each row that is left out."""
    steps = _STEP * np.eye(len(best))
    slopes = np.stack([scores(best + h) - scores(best - h) for h in steps]) / (2 * _STEP)
    total = [[scores(best + h + k).sum() - scores(best + h - k).sum() - scores(best - h + k).sum()
              + scores(best - h - k).sum() for k in steps] for h in steps]
    curvature = np.eye(len(best)) - np.array(total) / (4 * _STEP**2)
    influence = np.linalg.solve(curvature, slopes)
    return np.sqrt((influence**2).sum(1))
