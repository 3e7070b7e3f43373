"""Two objects in one fibre: a second redshift, with evidence of its own.

A network that knows single objects alone still has a second peak at the redshift of the other one,
however improbable it is beside the first. Where that peak stands out among the lesser ones, the
spectrum is taken apart: `Reconstruction`, a linear-Gaussian model of simulations, is fitted at both
redshifts at once, and the part of the first is taken away. There is a second object if the network
is then sure of one at the second redshift, and if the evidence is for both: by how much the density
of the data under two objects is above that under the likelier of the two alone, in closed form.
No threshold was learned, and each holds for any network.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import maximum_filter1d

from flowspec.model.redshift_bins import RedshiftBins
from flowspec.model.space import Space
from flowspec.posterior.draws import Chunk, chunks, shares
from flowspec.posterior.misfit import first_pixels
from flowspec.posterior.reconstruction import CLIP, Reconstruction

APART = 0.01  # of (1 + z), within which two redshifts are one
PROMINENT = 8.0  # nats by which a second peak stands out where a spectrum is taken apart
SURE = 0.99  # probability of the second redshift in what the first object leaves
EVIDENCE = 20.0  # nats for two objects
_MODEL_ERROR = 0.05  # of the flux of the first object: what no few templates have of it
_REWEIGHTED = 2
_ROWS = 16  # taken apart at once: one program to compile, whatever their number


class Second(NamedTuple):
    """The next best redshift of each row.

    Attributes:
        z: The second highest peak, NaN where there is none.
        prominence: Nats between it and the third; 0 where there is none.
    """

    z: Float[np.ndarray, " rows"]
    prominence: Float[np.ndarray, " rows"]


class Blend(NamedTuple):
    """The second object of each row, NaN where there is none.

    Attributes:
        z: Its redshift.
        ln_evidence: Natural log of the evidence for two objects over that for one.
    """

    z: Float[np.ndarray, " rows"]
    ln_evidence: Float[np.ndarray, " rows"]


class Parted(NamedTuple):
    """Spectra of two objects.

    Attributes:
        first: What is of the first object [rows, size].
        weight: Inverse variances that allow for what the model lacks of it.
        ln_evidence: For two objects, over the likelier of either alone.
    """

    first: Float[np.ndarray, "rows size"]
    weight: Float[np.ndarray, "rows size"]
    ln_evidence: Float[np.ndarray, " rows"]


def told(posterior) -> bool:
    """Whether a posterior can tell a second object from none: one of its kinds is nothing."""
    space = posterior.model.space
    return (space.redshift is not None and posterior.misfit is not None
            and posterior.known is None and not space.has("z").all())


def heights(space: Space, chunk: Chunk) -> Float[np.ndarray, "rows bins"]:
    """Log probability of each redshift under the likeliest object, less any number of the row."""
    logits = np.asarray(space.by_source(chunk.embedding.logits))[: chunk.count]
    return logits[:, space.has("z")].max(1)


def second(
    bins: RedshiftBins, height: Float[np.ndarray, "rows bins"], z_best: Float[np.ndarray, " rows"]
) -> Second:
    """The second peak of the redshift, at any probability.

    Args:
        bins: Of the redshift.
        height: Of the peaks, `heights`.
        z_best: Redshift of the first peak.
    """
    ln_z = _middles(bins)
    reach = int(np.ceil(APART / bins.width))
    peak = height >= maximum_filter1d(height, 2 * reach + 1, axis=1)  # no wing of another
    height = np.where(peak & ~_near(ln_z, np.log1p(z_best)), height, -np.inf)
    place = height.argmax(1)
    best = height.max(1)
    third = np.where(_near(ln_z, ln_z[place]), -np.inf, height).max(1)
    there = np.isfinite(third)
    prominence = np.where(there, best, 0) - np.where(there, third, 0)
    return Second(np.where(there, np.expm1(ln_z[place]), np.nan), prominence)


def blended(posterior, obs, z_best: Float[np.ndarray, " rows"], found: Second) -> Blend:
    """The second objects of spectra.

    Args:
        posterior: `flowspec.Posterior`, of which `told` is true.
        obs: Observations, as `Frame.seen` has them.
        z_best: Redshifts of the first objects.
        found: What may be the second ones.
    """
    blend = Blend(*(np.full(len(obs), np.nan) for _ in Blend._fields))
    suspects = np.flatnonzero((found.prominence > PROMINENT) & np.isfinite(z_best))
    for start in range(0, len(suspects), _ROWS):
        rows = suspects[np.minimum(np.arange(start, start + _ROWS), len(suspects) - 1)]
        ln_evidence, share = _judged(posterior, obs[rows], z_best[rows], found.z[rows])
        sure = (ln_evidence > EVIDENCE) & (share > SURE)
        blend.z[rows[sure]] = found.z[rows[sure]]
        blend.ln_evidence[rows[sure]] = ln_evidence[sure]
    return blend


def _judged(posterior, obs, z, other) -> tuple[np.ndarray, np.ndarray]:
    """Evidence for both redshifts of rows, and the probability of the other one in what the first
    object leaves."""
    model, misfit = posterior.model, posterior.misfit
    space, frame = model.space, model.frame
    data = frame.arrays(obs)
    values, weight = frame.linear(*data)
    at = [first_pixels(frame, space.redshift, x, len(values)) for x in (z, other)]
    parts = parted(misfit.reconstruction, values, weight, *at)
    left = np.where(weight > 0, values - parts.first, 0)
    left = frame.observed(left, parts.weight, *data[2:])
    (chunk,) = chunks(model, left)
    share = space.by_source(shares(chunk))[:, space.has("z")].sum(1)
    near = _near(_middles(space.redshift), np.log1p(other))
    return parts.ln_evidence, (share * near).sum(1)


def parted(
    model: Reconstruction, values: Float[np.ndarray, "rows size"],
    weight: Float[np.ndarray, "rows size"], first: Int[np.ndarray, " rows"],
    other: Int[np.ndarray, " rows"],
) -> Parted:  # fmt: skip
    """Take rows apart into two objects, either of any share of the flux.

    Args:
        model: Of a single object.
        values: Rows.
        weight: Inverse variances, 0 where there is no data.
        first: Number of the rest-frame pixel where each row begins if it is the first object.
        other: The same of the second one.
    """
    size, count = values.shape[1], len(model.mean)
    # amplitudes are free: the second moment of the coefficients, about zero
    moment = np.linalg.inv(model.precision.astype(float)) + np.outer(model.mean, model.mean)
    one = np.linalg.inv(moment).astype(np.float32)
    own, others = model.seen(first, size), model.seen(other, size)
    fitted = _robust(own, one, values, weight)[0]
    weight = weight / (1 + weight * (_MODEL_ERROR * fitted) ** 2)
    both, two = np.concatenate([own, others], axis=1), np.kron(np.eye(2, dtype=np.float32), one)
    _, robust, coefficients = _robust(both, two, values, weight)
    # of one weight for all, lest what one object cannot explain count as bad pixels
    single = np.maximum(*(ln_evidence(t, one, values, robust) for t in (own, others)))
    ln_both = ln_evidence(both, two, values, robust) - single
    return Parted((coefficients[:, None, :count] @ own)[:, 0], weight, ln_both)


def ln_evidence(
    templates: Float[np.ndarray, "rows count size"], precision: Float[np.ndarray, "count count"],
    values: Float[np.ndarray, "rows size"], weight: Float[np.ndarray, "rows size"],
) -> Float[np.ndarray, " rows"]:  # fmt: skip
    """Log density of rows, over that of noise alone, whose coefficients are normal about zero."""
    normal, right = _normal(templates, precision, values, weight)
    best = np.linalg.solve(normal, right[..., None])[..., 0]
    ln_det = [np.linalg.slogdet(a.astype(float))[1] for a in (precision, normal)]
    return 0.5 * ((right * best).sum(1) + ln_det[0] - ln_det[1])


def _robust(templates, precision, values, weight) -> tuple[np.ndarray, ...]:
    """Fits of rows, the weights that bad pixels are left in them, and the coefficients."""
    robust = weight
    for _ in range(_REWEIGHTED):
        normal, right = _normal(templates, precision, values, robust)
        coefficients = np.linalg.solve(normal, right[..., None])[..., 0]
        fitted = (coefficients[:, None] @ templates)[:, 0]
        residual = (values - fitted) * np.sqrt(weight)
        robust = weight / np.maximum(1, (residual / CLIP) ** 2)
    return fitted, robust, coefficients


def _normal(templates, precision, values, weight) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of the normal equations."""
    weighed = templates * weight[:, None]
    return weighed @ templates.swapaxes(1, 2) + precision, (weighed @ values[..., None])[..., 0]


def _near(ln_z: Float[np.ndarray, " bins"], at: Float[np.ndarray, " rows"]) -> np.ndarray:
    """Whether bins are of a row's redshift, both as ``ln(1 + z)`` [rows, bins]."""
    return np.abs(ln_z - at[:, None]) <= APART


def _middles(bins: RedshiftBins) -> Float[np.ndarray, " bins"]:
    """``ln(1 + z)`` of the middles of bins."""
    return np.log1p(bins.all_edges()[:-1]) + bins.width / 2

