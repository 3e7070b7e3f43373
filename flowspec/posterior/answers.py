"""All that a posterior says of some rows, worked out a chunk at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from flowspec.data.flags import Flag
from flowspec.data.frame import Frame
from flowspec.model.space import Space
from flowspec.posterior.blend import Blend, Second, blended, heights, second, told
from flowspec.posterior.candidates import Candidates, candidates, refined
from flowspec.posterior.draws import (
    Chunk,
    Drawn,
    chunks,
    described,
    draw,
    log_density,
    shares,
)
from flowspec.posterior.landmarks import DRAWS, Landmarks, marks_of
from flowspec.posterior.misfit import Compared
from flowspec.posterior.redshift import Peaks, best_redshift, peaks
from flowspec.posterior.weights import OVERSAMPLE, Weighted, population_weights, weighted

Numbers = UInt32[np.ndarray, "rows words"]


class Answers(NamedTuple):
    """What a posterior says of some rows; NaN where a row has no data.

    Attributes:
        samples: Draws [n, batch, params].
        source: Number of the source of each, -1 where there is no data [n, batch].
        share: Probability of each class.
        p_value: Share of simulations whose summaries are at least as far out.
        misfit: How much the data are like simulations, or None.
        found: Peaks of the redshift density, or None.
        z_best: Best redshift of each row, or None.
        ess: Effective number of weighted draws, or None.
        candidates: Up to five redshifts, or None.
        second: What may be the redshift of a second object, or None.
        blend: The second object of each row, or None.
    """

    samples: Float[np.ndarray, "n batch params"]
    source: Int[np.ndarray, "n batch"]
    share: Float[np.ndarray, "batch classes"]
    p_value: Float[np.ndarray, " batch"]
    misfit: Compared | None = None
    found: Peaks | None = None
    z_best: Float[np.ndarray, " batch"] | None = None
    ess: Float[np.ndarray, " batch"] | None = None
    candidates: Candidates | None = None
    second: Second | None = None
    blend: Blend | None = None


def answered(
    posterior, obs, n: int, seed: int, numbers: Numbers, population=None, progress: bool = False
) -> Answers:
    """Draws and everything that the table wants, of rows without data too.

    Args:
        posterior: `flowspec.Posterior`.
        obs: Observations, as `Frame.seen` has them.
        n: Draws per row.
        seed: Random seed.
        numbers: Of the rows, of `flowspec.posterior.asked.row_numbers`.
        population: Instead of the prior, or None.
        progress: Whether to show a progress bar.
    """
    parts = [_of_chunk(posterior, chunk, n, seed, numbers, population)
             for chunk in tilted_chunks(posterior, obs, progress=progress)]
    samples, source = (np.concatenate([getattr(p, name) for p in parts], axis=1)
                       for name in ("samples", "source"))
    rest = {name: _joined([getattr(p, name) for p in parts])
            for name in Answers._fields if name not in ("samples", "source")}
    answers = Answers(samples, source, **rest)
    if answers.second is None:
        return answers
    return answers._replace(blend=blended(posterior, obs, answers.z_best, answers.second))


def silenced(answers: Answers, none: Bool[np.ndarray, " batch"]) -> Answers:
    """No answer where there is no data."""
    if not none.any():
        return answers

    def rows(x: np.ndarray | None, axis: int = 0) -> np.ndarray | None:
        if x is None:
            return None
        where = none.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        return np.where(where, x.dtype.type(-1 if x.dtype.kind == "i" else np.nan), x)

    return Answers(
        rows(answers.samples, 1), rows(answers.source, 1), rows(answers.share),
        rows(answers.p_value), answers.misfit,
        answers.found and Peaks(*map(rows, answers.found)), rows(answers.z_best), rows(answers.ess),
        answers.candidates and Candidates(*map(rows, answers.candidates)),
        answers.second and Second(*map(rows, answers.second)),
        answers.blend and Blend(*map(rows, answers.blend)),
    )  # fmt: skip


def of_rows(answers: Answers, rows: Int[np.ndarray, " some"]) -> Answers:
    """The answers of some rows, by number."""

    def taken(x, axis: int = 0):
        if isinstance(x, tuple):
            return type(x)(*map(taken, x))
        if isinstance(x, list):
            return [x[row] for row in rows]
        return None if x is None else np.take(x, rows, axis)

    samples, source, *rest = answers
    return Answers(taken(samples, 1), taken(source, 1), *map(taken, rest))


def without_data(frame: Frame, obs) -> Bool[np.ndarray, " batch"]:
    """Rows that have nothing for the model."""
    return no_data(frame.judged(obs)[0])


def no_data(flags: Int[np.ndarray, " batch"]) -> Bool[np.ndarray, " batch"]:
    """Rows whose flags say that they have nothing for the model."""
    return (flags & int(Flag.NO_DATA)) > 0


def redshift_density(
    space: Space, share: Float[np.ndarray, "batch classes"]
) -> Float[np.ndarray, "batch bins"]:
    """Density per unit redshift in the model's bins, over all sources."""
    width = np.diff(space.redshift.all_edges())
    return space.by_source(share).sum(1) / width


def of_own_kind(space: Space, answers: "Answers") -> Float[np.ndarray, "n batch params"]:
    """The draws, NaN what is unused: of draws of other kinds, and where the best kind has none."""
    own = space.own
    if own.all():
        return answers.samples
    best = space.by_source(answers.share).sum(2).argmax(1)
    meant = own[np.maximum(answers.source, 0)] & own[best]
    return np.where(meant, answers.samples, np.nan).astype(answers.samples.dtype)


def of_best_kind(
    space: Space, share: Float[np.ndarray, "batch classes"]
) -> Float[np.ndarray, "batch classes"]:
    """Probabilities of classes, of kinds of objects those of the best kind alone.

    What a redshift holds of these is the probability that it and the kind are right.
    """
    if not space.of_objects:
        return share
    of_each = space.by_source(share)
    best = of_each.sum(2).argmax(1)
    return np.where((np.arange(len(space.sources)) == best[:, None])[..., None], of_each,
                    np.zeros((), share.dtype)).reshape(share.shape)  # fmt: skip


def tilted_chunks(posterior, obs, source: str | None = None, progress: bool = False):
    """Embeddings of all rows, classes tilted by the source and the redshift that are given."""
    model, tilt = posterior.model, None
    if source is not None:
        tilt = np.tile(model.space.only(source), (len(obs), 1))
    if posterior.known is not None:
        tilt = posterior.known.tilt(len(obs), model.space) + (0 if tilt is None else tilt)
    return chunks(model, obs, progress, tilt)


def class_shares(
    posterior, obs, source: str | None = None
) -> Float[np.ndarray, "batch sources bins"]:
    """Probability of each redshift bin of each source; NaN without data.

    Args:
        posterior: `flowspec.Posterior`.
        obs: Observations.
        source: Name of the source, or of the class of sources, to condition on.
    """
    share = np.concatenate([shares(chunk) for chunk in tilted_chunks(posterior, obs, source)])
    share[without_data(posterior.model.frame, obs)] = np.nan
    return posterior.model.space.by_source(share)


def drawn(
    posterior, chunk: Chunk, n: int, seed: int, numbers: Numbers, population=None
) -> Weighted:
    """Draws, their sources and class probabilities, as labels want them where it had any."""
    found = _weighted(posterior, chunk, n, seed, numbers, population)
    if posterior.stretch is None:
        return found
    space, names = posterior.model.space, posterior.stretch.fits(posterior.names)
    samples, source = np.asarray(found.samples), np.asarray(found.source)
    _, marks = located(posterior, chunk, tuple(names), population)
    return found._replace(samples=posterior.stretch.moved(samples, source, marks, space))


def located(
    posterior, chunk: Chunk, names: Sequence[str], population=None
) -> tuple[Weighted, dict[str, Landmarks]]:
    """Draws before any recalibration, the same for the same data, and where they lie."""
    alike = np.zeros((int(chunk.rows.max()) + 1, 1), np.uint32)
    found = _weighted(posterior, chunk, DRAWS, 0, alike, population)
    snr = posterior.model.frame.observed(*chunk.data).snr[: chunk.count]
    return found, marks_of(posterior.model.space, names, found, snr)


def density(posterior, chunk: Chunk, theta, source) -> Float[np.ndarray, "n rows"]:
    """Joint log density of parameters and source, as `log_density`, of what `drawn` draws.

    Args:
        posterior: `flowspec.Posterior`.
        chunk: Of the rows.
        theta: Parameters of each row of the chunk [n, padded, params].
        source: Number of the source of each [n, padded].
    """
    model, stretch = posterior.model, posterior.stretch
    if stretch is None:
        return log_density(model, chunk, theta, source)
    _, marks = located(posterior, chunk, tuple(stretch.fits(posterior.names)))
    rows = np.minimum(np.arange(len(chunk.rows)), chunk.count - 1)  # padded as the chunk is
    marks = {name: own.rows(rows) for name, own in marks.items()}
    old, log_det = stretch.unmoved(theta, marks, model.space)
    total = log_density(model, chunk, old, source) + log_det[:, : chunk.count]
    inside = np.isfinite(model.space.log_prior(theta, source))[:, : chunk.count]
    return np.where(inside, total, -np.inf)


def _weighted(
    posterior, chunk: Chunk, n: int, seed: int, numbers: Numbers, population
) -> Weighted:
    """Draws, their sources and class probabilities, weighted where anything is known."""
    model, known = posterior.model, posterior.known
    if population is None and known is None:
        theta, k = draw(model, chunk, n, seed, numbers)
        return Weighted(theta, model.space.source_of(k), shares(chunk), None)
    some = Drawn(*map(np.asarray, draw(model, chunk, n * OVERSAMPLE, seed, numbers)))
    log_weight = np.zeros(some.k.shape)
    if known is not None:
        some, log_weight = known.weighed(model, chunk, some)
    if population is not None:
        source = model.space.source_of(some.k)
        log_weight = log_weight + population_weights(some.theta, source, model.space, population)
    return weighted(*some, log_weight, model.space, n, seed)


def _of_chunk(
    posterior, chunk: Chunk, n: int, seed: int, numbers: Numbers, population
) -> Answers:
    space, found, z, several, other = posterior.model.space, None, None, None, None
    samples, source, share, ess = drawn(posterior, chunk, n, seed, numbers, population)
    samples, source = np.asarray(samples), np.asarray(source)
    if space.redshift is not None:
        edges = space.redshift.all_edges()
        pdf = redshift_density(space, of_best_kind(space, share))
        found = peaks(edges, pdf)
        draws = samples[..., space.names.index("z")]
        z = best_redshift(draws, found.z)
        several = refined(candidates(edges, pdf), draws, z)
        if told(posterior):
            other = second(space.redshift, heights(space, chunk), z)
    p_value = posterior.screen.p_value(described(posterior.model, chunk))
    misfit = posterior.misfit
    if misfit is not None:
        data = tuple(np.asarray(a)[: chunk.count] for a in chunk.data)
        misfit = misfit.compared(posterior.model.frame, space.redshift, data, z)
    return Answers(samples, source, share, p_value, misfit, found, z, ess, several, other)


def _joined(parts: Sequence):
    """Parts of rows, of whatever kind, as one."""
    if parts[0] is None:
        return None
    if isinstance(parts[0], tuple):
        return type(parts[0])(*map(_joined, zip(*parts, strict=True)))
    if isinstance(parts[0], list):
        return sum(parts, [])
    return np.concatenate(parts)
