"""Likelihood of a spectrum for its parameters alone: nuisances and noise are integrated over.

Near the best fit the model is linear in the latents of the nuisances, which are standard normals:
their integral is a Gaussian one. It is taken about the latents that suit the parameters best, to
first order, which move with the parameters along the ridge of the fit: a Laplace approximation
(Tierney & Kadane 1986, JASA 81, 82) whose curvature is worked out once per spectrum, so that the
likelihood costs one evaluation of the model. Residuals of the night sky are linear and join the
latents. Their amplitude and the factor on the stated errors are integrated over on grids; in the
eigenvectors of the latents' information every node of these is a sum.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, ArrayLike, Float, Int, ScalarLike

from flowspec.data.spectra import Spectra
from flowspec.sim.explicit import OUTLIER, huber, jacobian
from flowspec.sim.forward import Forward

# Natural log of the factor on stated errors: of galaxies of the SDSS it is 0.73 to 1.04
SCATTER = 0.15
_NODES = np.linspace(-3.5, 3.5, 11)  # of that factor, in its standard errors
_AMPLITUDES = np.geomspace(0.03, 3.0, 12)  # of the residuals of the sky, half-normal (`add_noise`)
_REWEIGHTED, _STEPS = 2, 3  # rounds of robust weights; of latents at given parameters
_AT_ONCE = 8  # rows, each with some MB


class Expansion(NamedTuple):
    """A spectrum and what its likelihood is near the best fit, to second order.

    Attributes:
        flux: The data [pixels].
        root: Square root of the inverse variance as stated [pixels].
        weight: Of residuals in units of the noise: 1, less where outliers are, 0 without data
            [pixels].
        log_norm: Natural log of the density of the noise where the residuals are 0.
        pixels: Number of those with data.
        free: Gaussianised parameters of the best fit [params].
        white: Its whitened latents [latents].
        ridge: Change of these with the parameters where the posterior is highest [latents, params].
        columns: Derivatives of the model by whitened latents and amplitudes of sky residuals, in
            units of the noise [columns, pixels].
        vectors: Eigenvectors of the information, by amplitude of the sky residuals
            [amplitudes, columns, columns].
        values: Its eigenvalues [amplitudes, columns].
        log_scale: Natural log of the factor on the errors, nodes of its grid [scales].
        log_weight: Natural log of the prior times the width of each node [amplitudes, scales].
        centre: Gaussianised parameters where the posterior is highest [params].
        covariance: Of these in Laplace's approximation [params, params].
        residual: Of the data from the best fit, sky removed, over the error as found [pixels].
        log_evidence: ``ln p(flux)`` in Laplace's approximation.
    """

    flux: Float[Array, "*batch pixels"]
    root: Float[Array, "*batch pixels"]
    weight: Float[Array, "*batch pixels"]
    log_norm: Float[Array, "*batch"]
    pixels: Int[Array, "*batch"]
    free: Float[Array, "*batch params"]
    white: Float[Array, "*batch latents"]
    ridge: Float[Array, "*batch latents params"]
    columns: Float[Array, "*batch columns pixels"]
    vectors: Float[Array, "*batch amplitudes columns columns"]
    values: Float[Array, "*batch amplitudes columns"]
    log_scale: Float[Array, "*batch scales"]
    log_weight: Float[Array, "*batch amplitudes scales"]
    centre: Float[Array, "*batch params"]
    covariance: Float[Array, "*batch params params"]
    residual: Float[Array, "*batch pixels"]
    log_evidence: Float[Array, "*batch"]


class Marginal(eqx.Module):
    """``ln p(flux | theta)`` of spectra, nuisances and noise integrated over.

    Called with parameters and data it works by itself, slowly; with `prepared` spectra each value
    costs one evaluation of the model (`at`).

    Attributes:
        sim: The simulator.
        scatter: Standard deviation of the natural log of the factor on the stated errors; 0 where
            these are exact.
    """

    sim: Forward
    scatter: float = eqx.field(static=True, default=SCATTER)

    def __call__(
        self, theta: Float[Array, " params"], source: ScalarLike, flux: Array, ivar: Array
    ) -> Float[Array, ""]:
        """``ln p(flux | theta)`` of one spectrum, about the best latents at these parameters."""
        free, _ = self.sim.prior.to_unconstrained(theta)
        unknowns = jnp.concatenate([free, jnp.zeros(self.sim.layout.size)])

        def settled(_, unknowns):
            return unknowns.at[len(free) :].set(_settled(self.sim, flux, ivar, unknowns))

        unknowns = jax.lax.fori_loop(0, _STEPS, settled, unknowns)
        return self.at(theta, source, expanded(self.sim, flux, ivar, unknowns, self.scatter))

    def at(
        self, theta: Float[Array, " params"], source: ScalarLike, near: Expansion
    ) -> Float[Array, ""]:
        """``ln p(flux | theta)`` of one prepared spectrum."""
        del source
        sim = self.sim
        free, _ = sim.prior.to_unconstrained(theta)
        white = near.white + near.ridge @ (free - near.free)
        model = sim.spectrum_of(theta, sim.learned.expected(free) + sim.learned.factor @ white)
        away = _white(sim, (near.flux - model) * near.root) * near.weight
        return _integrated(near, away, white)

    def prepared(self, obs: Spectra, start: Float[ArrayLike, "*starts batch params"]) -> Expansion:
        """Best fits of spectra and the likelihood near them, in arrays with a row for each.

        Args:
            obs: Spectra.
            start: Parameters to start from (`SpectrumSimulator.fit`).
        """
        flux, ivar = (np.asarray(a, np.float32) for a in self.sim.frame.arrays(obs)[:2])
        best = self.sim.fit(obs, start).unknowns
        parts = []
        for first in range(0, len(flux), _AT_ONCE):
            rows = np.minimum(np.arange(first, first + _AT_ONCE), len(flux) - 1)
            part = _expanded_rows(self.sim, flux[rows], ivar[rows], best[rows], self.scatter)
            parts.append(jax.tree.map(np.asarray, part))
        return jax.tree.map(lambda *a: np.concatenate(a)[: len(flux)], *parts)


@eqx.filter_jit
def _expanded_rows(sim, flux, ivar, unknowns, scatter):
    return jax.vmap(lambda *row: expanded(sim, *row, scatter))(flux, ivar, unknowns)


def expanded(
    sim: Forward, flux: Array, ivar: Array, unknowns: Array, scatter: float
) -> Expansion:
    """The likelihood of one spectrum near some unknowns (`flowspec.sim.explicit.split`).

    Args:
        sim: The simulator.
        flux: Data [pixels].
        ivar: Inverse variance [pixels].
        unknowns: Gaussianised parameters and whitened latents of the best fit.
        scatter: See `Marginal`.
    """
    count = len(sim.prior.names)
    free, white = unknowns[:count], unknowns[count:]
    model, slopes = jacobian(sim, unknowns)
    root, seen = jnp.sqrt(ivar), ivar > 0
    good, sky = seen.sum(), _sky(sim, ivar)
    away = _white(sim, (flux - model) * root) * seen
    rows = jnp.concatenate([_white(sim, slopes * root) * seen, sky])
    start = jnp.concatenate([unknowns, jnp.zeros(len(sky))])
    robust, scale = jnp.ones_like(flux), jnp.float32(1.0)
    for _ in range(1 + _REWEIGHTED):
        own = rows[count:] * robust
        information = own @ own.T + scale**2 * jnp.eye(len(own))
        step = jnp.linalg.solve(information, own @ (away * robust) - scale**2 * start[count:])
        residual = away - step @ rows[count:]
        robust = jnp.sqrt(jnp.minimum(1.0, OUTLIER / jnp.maximum(jnp.abs(residual / scale), 1.0)))
        used = len(own) - scale**2 * jnp.trace(jnp.linalg.inv(information))
        found = ((residual * robust) ** 2).sum() / jnp.maximum(good - used, 1.0)
        scale = jnp.sqrt(jnp.maximum(found, 0.01)) if scatter else scale
    rows = rows * robust
    own = rows / scale, away * robust / scale
    ridge, centre, covariance, log_volume = _ridge(*own, start, count)
    log_scale, log_width = _scales(scale, scatter, good)
    amplitude, log_sky = _amplitudes(len(sky))
    columns = rows[count:]
    factor = jnp.ones((len(amplitude), len(columns))).at[:, len(white) :].set(amplitude[:, None])
    gram = columns @ columns.T * factor[:, None] * factor[:, :, None]
    values, vectors = jnp.linalg.eigh(gram)
    # rows of the vectors take the amplitude along, so that `columns` serve all
    vectors = vectors * factor[:, :, None]
    x = residual / scale
    beyond = huber(x) - (x * robust) ** 2
    log_norm = jnp.where(seen, jnp.log(jnp.where(seen, ivar, 1.0) / (2 * jnp.pi)), 0.0)
    if sim.residual is not None:
        log_norm = log_norm + jnp.where(seen, 2 * sim.residual.log_slope, 0.0)
    near = Expansion(
        flux, root, robust * seen, 0.5 * (log_norm - beyond).sum(), good, free, white,
        ridge[: len(white)], columns, vectors, jnp.maximum(values, 0.0), log_scale,
        log_sky[:, None] + log_width, centre, covariance, x, log_volume,
    )  # fmt: skip
    here = _integrated(near, away * robust, white)
    return near._replace(log_evidence=log_volume + here)


def _integrated(near: Expansion, away: Array, white: Array) -> Array:
    """``ln p(flux)`` with the latents near some, where the residuals are `away`."""
    variance = jnp.exp(2 * near.log_scale)
    # of sky residuals, about zero, the latents are zero
    here = jnp.einsum("alc,l->ac", near.vectors[:, : len(white)], white)
    pull = jnp.einsum("apc,p->ac", near.vectors, near.columns @ away)[:, None] / variance[:, None]
    ratio = near.values[:, None] / variance[:, None]
    gain = ((pull - here[:, None]) ** 2 / (1 + ratio)).sum(-1)
    square = (away**2).sum() / variance + (white**2).sum() - gain
    log_det = near.pixels * jnp.log(variance) + jnp.log1p(ratio).sum(-1)
    return near.log_norm + logsumexp(near.log_weight - 0.5 * (square + log_det))


def _ridge(rows, away, start, count):
    """Change of the latents along the ridge; of the parameters the centre, the covariance, and ln
    of the integral of the posterior over the likelihood where they are."""
    information = rows @ rows.T + jnp.eye(len(rows))
    gradient = rows @ away - start
    block = information[count:, count:]
    ridge = -jnp.linalg.solve(block, information[count:, :count])
    own = information[:count, :count] + information[:count, count:] @ ridge
    covariance = jnp.linalg.inv(own)
    step = covariance @ (gradient[:count] + ridge.T @ gradient[count:])
    rise = step @ own @ step - start[:count] @ start[:count]
    log_volume = 0.5 * (rise + jnp.linalg.slogdet(covariance)[1])
    return ridge, start[:count] + jnp.clip(step, -1.0, 1.0), covariance, log_volume


def _scales(scale, scatter, pixels):
    """Nodes of ln of the factor on the errors, and ln of the prior times their width."""
    if not scatter:
        return jnp.zeros(1), jnp.zeros(1)
    error = 1 / jnp.sqrt(2.0 * jnp.maximum(pixels, 1))
    at = jnp.log(scale) + error * _NODES
    width = error * (_NODES[1] - _NODES[0]) / (scatter * jnp.sqrt(2 * jnp.pi))
    return at, -0.5 * (at / scatter) ** 2 + jnp.log(width)


def _amplitudes(columns):
    """Nodes of the amplitude of the sky residuals, and ln of the prior times their width."""
    if not columns:
        return jnp.zeros(1), jnp.zeros(1)
    mass = np.exp(-0.5 * _AMPLITUDES**2) * _AMPLITUDES  # even in the logarithm
    return jnp.asarray(_AMPLITUDES, jnp.float32), jnp.asarray(np.log(mass / mass.sum()))


def _white(sim, x: Array) -> Array:
    """Rows in units of the stated errors, in units of noise that is independent."""
    return x if sim.residual is None else sim.residual.white(x)


def _sky(sim, ivar) -> Array:
    """Residuals of the sky in units of the noise, by the knots of their amplitude."""
    if "sky" not in sim.nuisances or sim.residual is not None:
        return jnp.zeros((0, len(sim.wave)))
    sky = sim.sight["sky"] * (jnp.sqrt(ivar) if sim.absolute_sky else 1.0)
    return jnp.where(ivar > 0, sky, 0.0) * sim.sight["mismatch"]


def _settled(sim, flux, ivar, unknowns):
    """Whitened latents after one step of Gauss and Newton at the same parameters."""
    count = len(sim.prior.names)
    model, slopes = jacobian(sim, unknowns)
    root = jnp.sqrt(ivar)
    rows = slopes[count:] * root
    away = (flux - model) * root + unknowns[count:] @ rows
    return jnp.linalg.solve(rows @ rows.T + jnp.eye(len(rows)), rows @ away)
