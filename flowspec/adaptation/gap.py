"""The gap between simulations and observations, as a model's summaries have it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Float

from flowspec.adaptation.distances import kernel_mmd, multi_kernel
from flowspec.data.seeds import key_of
from flowspec.networks.critic import DomainClassifier

_FOLDS = 5
_STEPS, _BATCH, _RATE, _DECAY = 400, 256, 2e-3, 1e-2
_ROWS = 2000  # of each at most in a test by permutation
CLOSED = 0.6  # largest area under the curve of a gap that is closed


class Gap(NamedTuple):
    """How well a classifier tells observations from simulations.

    Attributes:
        auc: Area under its receiver operating characteristic; 0.5 where they are alike.
        error: Standard error of the area.
        logit: Of being observed rather than simulated, by a classifier that has not seen the row:
            simulations, then observations [simulated + observed].
        overlap: Share of the observed distribution that the simulated one covers,
            ``int min(p_sim, p_obs)``: 1 less the total variation.
    """

    auc: float
    error: float
    logit: Float[np.ndarray, " rows"]
    overlap: float

    @property
    def closed(self) -> bool:
        """Whether the two can hardly be told apart, within the error."""
        return self.auc - 2 * self.error <= CLOSED


def domain_gap(
    simulated: Float[np.ndarray, "simulations features"],
    observed: Float[np.ndarray, "observations features"],
    weight: Float[np.ndarray, " simulations"] | None = None,
    seed: int = 0,
) -> Gap:
    """Five-fold cross-validated domain classifier, each side half of the weight.

    Args:
        simulated: Summaries of simulations.
        observed: Of observations.
        weight: Of each simulation, such as observed over simulated population.
        seed: Of folds and networks.

    Raises:
        ValueError: If there are fewer than ten of either.
    """
    if min(len(simulated), len(observed)) < 10:
        raise ValueError(f"expected at least 10 summaries of each; got {len(simulated)} and "
                         f"{len(observed)}")
    weight = np.ones(len(simulated)) if weight is None else np.asarray(weight, float)
    both = np.concatenate([simulated, observed])
    x = (both - simulated.mean(0)) / (simulated.std(0) + 1e-3)
    x = np.clip(x, -10, 10)
    y = np.repeat([0.0, 1.0], [len(simulated), len(observed)])
    sides = [weight / weight.sum(), np.full(len(observed), 1 / len(observed))]
    w = np.concatenate(sides) * len(x) / 2
    fold = np.random.default_rng(seed).permutation(len(x)) % _FOLDS
    arrays = (jnp.asarray(a, jnp.float32) for a in (x, y, w))
    logit = np.asarray(_held_out(*arrays, jnp.asarray(fold), key_of(seed)), float)
    logit = _calibrated(logit, y, w)
    n = len(simulated)
    auc = area(logit[:n], logit[n:], weight)
    worth = float(weight.sum() ** 2 / (weight**2).sum())
    overlap = float((sides[0] * np.exp(np.minimum(logit[:n], 0))).sum())
    return Gap(auc, area_error(auc, worth, float(len(observed))), logit, overlap)


def _calibrated(logit: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Scaled and shifted to the greatest likelihood (Platt 1999), for networks are too sure."""
    x = np.stack([logit, np.ones_like(logit)], axis=1)
    beta = np.zeros(2)
    for _ in range(25):  # Newton's steps, damped by a weak prior
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        hessian = (x * (w * p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(2)
        beta += np.linalg.solve(hessian, x.T @ (w * (y - p)) - 1e-3 * beta)
    return x @ np.maximum(beta, [0, -np.inf])


@jax.jit
def _held_out(x, y, w, fold, key):
    """Logits of every row by the classifier of the fold that it is not in."""
    network = DomainClassifier()
    optimiser = optax.adamw(optax.cosine_decay_schedule(_RATE, _STEPS), weight_decay=_DECAY)

    def one(k, key):
        first, rows = jr.split(key)
        params = network.init(first, x[:1])
        chance = jnp.where(fold == k, 0.0, w)
        batches = jr.choice(rows, len(x), (_STEPS, _BATCH), p=chance / chance.sum())

        def loss(params, at):
            logits = network.apply(params, x[at])
            return optax.sigmoid_binary_cross_entropy(logits, y[at]).mean()

        def step(carry, at):
            params, state = carry
            updates, state = optimiser.update(jax.grad(loss)(params, at), state, params)
            return (optax.apply_updates(params, updates), state), None

        (params, _), _ = jax.lax.scan(step, (params, optimiser.init(params)), batches)
        return network.apply(params, x)

    logits = jax.vmap(one)(jnp.arange(_FOLDS), jr.split(key, _FOLDS))
    return logits[fold, jnp.arange(len(x))]


def area(
    negative: Float[np.ndarray, " n"],
    positive: Float[np.ndarray, " m"],
    weight: Float[np.ndarray, " n"] | None = None,
) -> float:
    """Chance that a positive scores above a negative one, ties half.

    Args:
        negative: Scores of one class.
        positive: Of the other.
        weight: Of each of the first.
    """
    weight = np.ones(len(negative)) if weight is None else weight
    order = np.argsort(negative)
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    below, upto = (np.searchsorted(negative[order], positive, side=s) for s in ("left", "right"))
    return float((total[below] + total[upto]).mean() / (2 * total[-1]))


def area_error(area: float, negatives: float, positives: float) -> float:
    """Standard error of an area under the curve (Hanley & McNeil 1982, equation 1)."""
    a = max(area, 1 - area)
    q, r = a / (2 - a), 2 * a**2 / (1 + a)
    variance = a * (1 - a) + (positives - 1) * (q - a**2) + (negatives - 1) * (r - a**2)
    return float(np.sqrt(max(variance, 0.0) / (negatives * positives)))


def mmd_test(
    simulated: Float[np.ndarray, "simulations features"],
    observed: Float[np.ndarray, "observations features"],
    permutations: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """Squared maximum mean discrepancy (`flowspec.adaptation.distances.mmd`) and its p-value by
    permutation.

    The p-value is ``(1 + permutations at least as large) / (1 + permutations)``, exact whatever
    the distribution (Gretton et al. 2012, section 5).

    Args:
        simulated: Summaries of simulations.
        observed: Of observations.
        permutations: Random relabellings.
        seed: Of these.
    """
    rng = np.random.default_rng(seed)
    sides = [x[rng.permutation(len(x))[:_ROWS]] for x in (simulated, observed)]
    scale = sides[0].std(0) + 1e-6
    both = np.concatenate(sides)
    first = np.repeat([1.0, 0.0], [len(x) for x in sides])
    chosen = np.stack([first, *(rng.permutation(first) for _ in range(permutations))])
    values = np.asarray(_mmds(*(jnp.asarray(a, jnp.float32) for a in (both / scale, chosen))))
    return float(values[0]), float((1 + (values[1:] >= values[0]).sum()) / (1 + permutations))


@jax.jit
def _mmds(x, chosen):
    kernel = multi_kernel(x)
    return jax.lax.map(lambda own: kernel_mmd(kernel, own, 1 - own), chosen)


def shifts(
    simulated: Float[np.ndarray, "simulations features"],
    observed: Float[np.ndarray, "observations features"],
    weight: Float[np.ndarray, " simulations"] | None = None,
) -> Float[np.ndarray, "features 2"]:
    """Per summary, the shift of the mean and the log ratio of the widths, in standard deviations
    of the simulations and natural.

    Args:
        simulated: Summaries of simulations.
        observed: Of observations.
        weight: Of each simulation.
    """
    weight = np.ones(len(simulated)) if weight is None else weight
    mean = np.average(simulated, axis=0, weights=weight)
    spread = np.sqrt(np.average((simulated - mean) ** 2, axis=0, weights=weight)) + 1e-6
    ratio = np.log((observed.std(0) + 1e-6) / spread)
    return np.stack([(observed.mean(0) - mean) / spread, ratio], axis=1)


def pixel_shifts(
    simulated: Float[np.ndarray, "simulations pixels"],
    observed: Float[np.ndarray, "observations pixels"],
) -> Float[np.ndarray, "2 pixels"]:
    """Which wavelengths (or lines) carry the gap: per pixel, `shifts` of values without NaN.

    Args:
        simulated: Values of simulations, such as `flowspec.data.continuum.noise_of`; NaN for
        no data.
        observed: Of observations.
    """
    clipped = [np.clip(x, -10, 10) for x in (simulated, observed)]
    means = [np.nanmean(x, axis=0) for x in clipped]
    spreads = [np.nanstd(x, axis=0) + 1e-6 for x in clipped]
    return np.stack([(means[1] - means[0]) / spreads[0], np.log(spreads[1] / spreads[0])])
