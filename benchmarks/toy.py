"""The toy problem on which simulation-based inference packages were compared, exact answer known.

Four parameters, each uniform; 2,048 logarithmic pixels; a power law with a 4000 A break, nine
emission lines of 200 km/s, white noise of 0.3. `generate` is the NumPy generator that fixes the
data set; `flux` is the same spectrum in JAX, for as many fresh simulations as wanted.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from flowspec import CallableSimulator, Prior, Simulations, Spectra

SEED, ROWS, TRAIN, TEST = 20261122, 11_000, 10_000, 1_000
NAMES = ("z", "log_a", "ratio", "beta")
LOW, HIGH = np.array([0.0, -0.5, -0.7, -2.0]), np.array([0.4, 1.0, 0.8, 2.0])
WAVE = np.geomspace(3600.0, 9800.0, 2048)
SIGMA, VELOCITY, LIGHT = 0.3, 200.0, 299792.458
# Rest wavelength in angstrom, peak a, exponent p: each line peaks at a * 10^(log_a + p * ratio).
LINES = (
    (3728.5, 0.80, 0), (4862.7, 1 / 2.86, 0), (4960.3, 1 / 2.86 / 2.98, 1), (5008.2, 1 / 2.86, 1),
    (6549.9, 0.35 / 2.96, 0), (6564.6, 1.0, 0), (6585.3, 0.35, 0), (6718.3, 0.15, 0),
    (6732.7, 0.12, 0),
)  # fmt: skip
EXACT = 13.78  # mean log posterior density of the truth, by integration of the likelihood


def prior() -> Prior:
    """The prior: uniform in every parameter."""
    limits = zip(NAMES, LOW, HIGH, strict=True)
    return Prior({name: dist.Uniform(float(low), float(high)) for name, low, high in limits})


def spectrum(theta: Sequence, xp=np):
    """Noiseless spectrum, in the array library `xp` [..., pixels].

    Args:
        theta: The four parameters, each a scalar or [..., 1].
        xp: `numpy` or `jax.numpy`.
    """
    z, log_a, ratio, beta = theta
    rest = WAVE / (1 + z)
    flux = (WAVE / 6500) ** beta * (1 - 0.35 / (1 + xp.exp(-(4000 - rest) / 60)))
    for centre, peak, power in LINES:
        offset = xp.log(rest / centre) / (VELOCITY / LIGHT)
        flux = flux + peak * 10 ** (log_a + power * ratio) * xp.exp(-0.5 * offset**2)
    return flux


def generate(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """The data set: theta [rows, 4] and noisy flux [rows, pixels], float32.

    Args:
        rows: Spectra to compute. Parameters and noise of all 11,000 are drawn whatever it is, so
            that these are the first of the same data set.
    """
    rng = np.random.default_rng(SEED)
    theta = rng.uniform(LOW, HIGH, (ROWS, 4))[:rows]
    flux = rng.standard_normal((ROWS, len(WAVE)), np.float32)[:rows] * np.float32(SIGMA)
    for start in range(0, rows, 500):  # bounds the memory of the lines
        part = slice(start, start + 500)
        flux[part] += spectrum(theta[part].T[..., None])
    return theta.astype(np.float32), flux


def flux(key, theta):
    """Noiseless spectrum for `CallableSimulator` [pixels]."""
    del key
    return spectrum(theta, jnp)


def fresh() -> CallableSimulator:
    """Unlimited simulations."""
    return CallableSimulator(flux, prior(), WAVE, noise=SIGMA, redshift="z")


def fixed(theta: np.ndarray, spectra: np.ndarray) -> Simulations:
    """Rows of the data set as simulations to train on."""
    ivar = np.broadcast_to(np.float32(SIGMA**-2), spectra.shape)
    return Simulations(theta, spectra, ivar, WAVE, prior(), redshift="z")


def observed(spectra: np.ndarray) -> Spectra:
    """Rows of the data set as observations."""
    return Spectra(WAVE, spectra, np.full(spectra.shape, SIGMA**-2))


def log_likelihood(theta: jax.Array, spectra: jax.Array) -> jax.Array:
    """Exact log likelihood of one spectrum [pixels] for one theta [4]."""
    residual = (spectra - spectrum(theta, jnp)) / SIGMA
    return -0.5 * (residual**2).sum() - len(WAVE) * np.log(SIGMA * np.sqrt(2 * np.pi))
