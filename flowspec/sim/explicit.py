"""The forward model fitted to spectra one by one: parameters and nuisances of maximum a posteriori.

Parameters are Gaussianised by their prior (`Prior.to_unconstrained`) and nuisances whitened by what
is learned of them, so that every unknown has a standard normal prior and the fit is one of least
squares with a unit ridge: Levenberg-Marquardt (Nocedal & Wright 2006, chapter 10), robust against
outliers by Huber's loss. Smooth factors on the flux, which are many, cost no evaluation of the
model: their derivatives are the model times a basis.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowspec.data.spectra import Spectra
from flowspec.sim.forward import Forward

ITERATIONS = 6
CUT = 8.0  # standard deviations at which a residual counts no further in `Fitted.chi2`
OUTLIER = 4.0  # standard deviations from which residuals count linearly (Huber)
_DAMPINGS = (0.1, 1.0, 10.0)  # that are tried, times the last one taken
AT_ONCE = 8  # rows: the Jacobian of one has a few MB
_EDGE = 2.5  # furthest Gaussianised parameter to start from: beyond, hardly anything moves


class Fitted(NamedTuple):
    """Best model of each spectrum.

    Attributes:
        theta: Parameters [batch, params].
        latent: Latents of the nuisances [batch, latents].
        model: Flux [batch, pixels].
        ivar: Inverse variance of the data [batch, pixels].
        residual: (flux - model) sqrt(ivar), 0 without data [batch, pixels].
        chi2: Mean square of the residuals, each cut at `CUT` standard deviations [batch].
        unknowns: Gaussianised parameters and whitened latents [batch, unknowns].
        information: Of the data about the unknowns; that of the prior, the identity, is not in it
            [batch, unknowns, unknowns].
        gradient: Of the log likelihood at the best unknowns, which the prior's undoes [batch,
            unknowns].
        log_evidence: ``ln p(flux)`` in Laplace's approximation [batch].
    """

    theta: Float[np.ndarray, "batch params"]
    latent: Float[np.ndarray, "batch latents"]
    model: Float[np.ndarray, "batch pixels"]
    ivar: Float[np.ndarray, "batch pixels"]
    residual: Float[np.ndarray, "batch pixels"]
    chi2: Float[np.ndarray, " batch"]
    unknowns: Float[np.ndarray, "batch unknowns"]
    information: Float[np.ndarray, "batch unknowns unknowns"]
    gradient: Float[np.ndarray, "batch unknowns"]
    log_evidence: Float[np.ndarray, " batch"]

    @property
    def covariance(self) -> Float[np.ndarray, "batch unknowns unknowns"]:
        """Of the unknowns, in Laplace's approximation."""
        return np.linalg.inv(self.information + np.eye(self.information.shape[-1]))


def fitted(
    sim: Forward,
    obs: Spectra,
    start: Float[np.ndarray, "starts batch params"],
    iterations: int = ITERATIONS,
) -> Fitted:
    """Fit the forward model to each of the spectra.

    Args:
        sim: The simulator.
        obs: Spectra on its pixels.
        start: Parameters to start from; of several per row the best after a fit of the smooth
            factors is taken.
        iterations: Evaluations of the Jacobian.
    """
    flux, ivar = (np.asarray(a, np.float32) for a in sim.frame.arrays(obs)[:2])
    parts = []
    for first in range(0, len(flux), AT_ONCE):
        rows = np.minimum(np.arange(first, first + AT_ONCE), len(flux) - 1)
        data = jnp.asarray(flux[rows]), jnp.asarray(ivar[rows])
        state = _begun(sim, *data, jnp.asarray(start[:, rows], jnp.float32))
        for _ in range(iterations):
            state = _improved(sim, *data, state)
        parts.append((_finished(sim, *data, state[0]), min(AT_ONCE, len(flux) - first)))
    columns = zip(*(part for part, _ in parts), strict=True)
    counts = [count for _, count in parts]
    return Fitted(*(
        np.concatenate([np.asarray(a)[:n] for a, n in zip(column, counts, strict=True)])
        for column in columns
    ))  # fmt: skip


def split(sim: Forward, unknowns: Float[Array, " unknowns"]) -> tuple[Array, Array]:
    """Parameters and latents of Gaussianised parameters and whitened latents."""
    free, white = jnp.split(unknowns, [len(sim.prior.names)])
    latent = sim.learned.expected(free) + sim.learned.factor @ white
    return sim.prior.to_constrained(free), latent


def jacobian(
    sim: Forward, unknowns: Float[Array, " unknowns"]
) -> tuple[Float[Array, " pixels"], Float[Array, "unknowns pixels"]]:
    """The model, and its derivative with respect to every unknown."""
    free, white = jnp.split(unknowns, [len(sim.prior.names)])
    latent = sim.learned.expected(free) + sim.learned.factor @ white
    # zero but for those that are smooth factors
    curves = sim.curves(sim.prior.to_constrained(free))
    others = np.flatnonzero(~sim.smooth)
    rest = latent[others]

    def flux(free, rest):
        own = latent.at[others].set(rest)
        return sim.spectrum_of(sim.prior.to_constrained(free), own)

    model, push = jax.linearize(flux, free, rest)
    count = len(free)
    tangents = jnp.eye(count + len(others))
    columns = jax.vmap(lambda t: push(t[:count], t[count:]))(tangents)
    by_latent = (curves * model).at[others].set(columns[count:])
    slopes = jnp.where(jnp.abs(free) < 3.0, sim.learned.slopes, 0.0)
    by_free = columns[:count] + slopes.T @ by_latent
    return model, jnp.concatenate([by_free, sim.learned.factor.T @ by_latent])


def huber(x):
    """Twice Huber's loss."""
    size = jnp.abs(x)
    return jnp.where(size < OUTLIER, x**2, 2 * OUTLIER * size - OUTLIER**2)


def _objective(sim, flux, weight, unknowns):
    model = sim.spectrum_of(*split(sim, unknowns))
    return huber((flux - model) * weight).sum() + (unknowns**2).sum()


@eqx.filter_jit
def _begun(sim, flux, ivar, start):
    """Unknowns, objective and damping of each row at the best of its starts."""
    free = jnp.clip(jax.vmap(sim.prior.to_unconstrained)(start)[0], -_EDGE, _EDGE)
    rest = jnp.zeros((*free.shape[:-1], sim.layout.size))
    unknowns = jnp.concatenate([free, rest], -1)

    def best(flux, ivar, unknowns):
        unknowns = jax.vmap(lambda u: _smoothed(sim, flux, jnp.sqrt(ivar), u))(unknowns)
        value = jax.vmap(lambda u: _objective(sim, flux, jnp.sqrt(ivar), u))(unknowns)
        return unknowns[value.argmin()], value.min()

    unknowns, value = jax.vmap(best, (0, 0, 1))(flux, ivar, unknowns)
    # of the very type that a step returns: another would compile `_improved` again
    return unknowns, value, jnp.ones(len(flux), unknowns.dtype)


def _smoothed(sim, flux, weight, unknowns):
    """Unknowns with the smooth factors fitted in closed form (variable projection)."""
    model = sim.spectrum_of(*split(sim, unknowns))
    count = len(sim.prior.names)
    curves = sim.curves(sim.prior.to_constrained(unknowns[:count]))
    rows = sim.learned.factor.T @ (curves * model) * weight
    own = jnp.where(jnp.asarray(sim.smooth)[:, None], rows, 0.0)
    gram = own @ own.T + jnp.eye(len(own))
    return unknowns.at[count:].set(jnp.linalg.solve(gram, own @ ((flux - model) * weight)))


@eqx.filter_jit
def _improved(sim, flux, ivar, state):
    """One step of Levenberg-Marquardt of every row, with the best of a few dampings."""

    def one(flux, ivar, unknowns, value, damping):
        model, columns = jacobian(sim, unknowns)
        weight = jnp.sqrt(ivar)
        residual = (flux - model) * weight
        weight = weight * jnp.sqrt(jnp.minimum(1.0, OUTLIER / jnp.maximum(jnp.abs(residual), 1.0)))
        rows = columns * weight
        gradient = rows @ ((flux - model) * weight) - unknowns
        hessian = rows @ rows.T + jnp.eye(len(rows))
        tried = damping * jnp.array(_DAMPINGS)
        steps = jax.vmap(
            lambda d: jnp.linalg.solve(hessian + d * jnp.diag(jnp.diag(hessian)), gradient)
        )(tried * 1e-2)
        values = jax.vmap(lambda s: _objective(sim, flux, jnp.sqrt(ivar), unknowns + s))(steps)
        values = jnp.where(jnp.isfinite(values), values, jnp.inf)
        i = values.argmin()
        better = values[i] < value
        unknowns = jnp.where(better, unknowns + steps[i], unknowns)
        damping = jnp.clip(jnp.where(better, tried[i], 10 * tried[-1]), 1e-6, 1e6)
        return unknowns, jnp.where(better, values[i], value), damping

    return jax.vmap(one)(flux, ivar, *state)


@eqx.filter_jit
def _finished(sim, flux, ivar, unknowns):
    """The fields of `Fitted`."""

    def one(flux, ivar, unknowns):
        model, columns = jacobian(sim, unknowns)
        theta, latent = split(sim, unknowns)
        residual = (flux - model) * jnp.sqrt(ivar)
        robust = jnp.minimum(1.0, OUTLIER / jnp.maximum(jnp.abs(residual), 1.0))
        rows = columns * jnp.sqrt(ivar * robust)
        information = rows @ rows.T
        gradient = rows @ (residual * jnp.sqrt(robust))
        good = ivar > 0
        chi2 = (jnp.clip(residual, -CUT, CUT) ** 2).sum() / jnp.maximum(good.sum(), 1)
        log_det = jnp.linalg.slogdet(information + jnp.eye(len(rows)))[1]
        noise = jnp.where(good, jnp.log(2 * jnp.pi / jnp.where(good, ivar, 1.0)), 0.0).sum()
        fit = huber(residual).sum() + (unknowns**2).sum()
        log_evidence = -0.5 * (fit + noise + log_det)
        numbers = unknowns, information, gradient, log_evidence
        return theta, latent, model, ivar, residual, chi2, *numbers

    return jax.vmap(one)(flux, ivar, unknowns)
