"""The Lyman-alpha forest of one sightline: how it scatters about the mean of `igm`.

The transmission is a stationary field whose power spectrum is that of quasars. Its optical depth is
lognormal (Inoue & Iwata 2008, MNRAS 387, 1681), with the mean transmission kept at any resolution.
"""

from functools import partial

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

C_KMS = 299792.458
LYMAN_ALPHA = 1215.67  # angstrom
# Palanque-Delabrouille et al. (2013, A&A 559, A85), fit to BOSS at redshifts of 2.2 to 4.4, 0.001
# to 0.02 s/km: amplitude, slope, running, evolution, that of the slope, pivots in s/km and redshift
_POWER = (0.064, -2.55, -0.1, 3.55, -0.28, 0.009, 3.0)
_NODES = 40  # in redshift, of what varies smoothly with it
_NORMAL = np.linspace(-6.0, 6.0, 121)  # the trapezoid rule is exact for smooth functions of it


def forest_power(k: Float[ArrayLike, " k"], z: float) -> Float[np.ndarray, " k"]:
    """Power spectrum of the relative transmission along a sightline, in km/s.

    The fit of Palanque-Delabrouille et al. (2013), taken as constant beyond its maximum at small k,
    as a field on a line must be.

    Args:
        k: Wavenumbers in s/km (2 pi over a length).
        z: Redshift of the absorbers.
    """
    amplitude, slope, running, evolution, tilt, pivot, middle = _POWER
    ln_a = np.log((1 + z) / (1 + middle))
    slope = slope + tilt * ln_a
    least = pivot * np.exp(-(slope / 2 + 1) / running)  # where the power is highest
    x = np.log(np.maximum(np.asarray(k, float), least) / pivot)
    return np.pi * amplitude / pivot * np.exp((2 + slope + running * x) * x + evolution * ln_a)


def transmission_scatter(z: float, *, width: float = 0.0, sigma: float = 0.0) -> float:
    """Standard deviation, over its mean, of the forest's transmission between sightlines.

    Args:
        z: Redshift of the absorbers.
        width: Stretch in km/s that it is averaged over.
        sigma: Of a Gaussian in km/s that it is blurred by, at least one of 10 with no `width`.
    """
    ln_k = np.linspace(np.log(1e-7), np.log(1.0), 20_001)
    k = np.exp(ln_k)
    window = np.sinc(k * width / (2 * np.pi)) ** 2 * np.exp(-((k * sigma) ** 2))
    return float(np.sqrt(np.trapezoid(k * forest_power(k, z) * window, ln_k) / np.pi))


def lognormal_depth(
    mean: Float[ArrayLike, " n"], scatter: Float[ArrayLike, " n"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Median and width of the lognormal optical depth of a given transmission.

    Args:
        mean: Of the transmission, between 0 and 1.
        scatter: Its standard deviation over its mean; the largest that a transmission between 0
            and 1 can have is ``((1 - mean) / mean)**0.5``, of which 0.8 is taken at most.

    Returns:
        Median optical depth, and standard deviation of its natural logarithm.
    """
    mean = np.asarray(mean, float)
    scatter = np.minimum(np.asarray(scatter, float), 0.8 * np.sqrt((1 - mean) / mean))
    weight = np.exp(-0.5 * _NORMAL**2)
    weight /= weight.sum()

    def moments(ln_depth, width):
        depth = np.exp(ln_depth[..., None] + width[..., None] * _NORMAL)
        return np.exp(-depth) @ weight, np.exp(-2 * depth) @ weight

    def median(width):
        return _bisect(lambda x: mean - moments(x, width)[0], -12.0, 6.0, mean.shape)

    def too_wide(width):
        return moments(median(width), width)[1] - mean**2 * (1 + scatter**2)

    width = _bisect(too_wide, 1e-3, 6.0, mean.shape)
    return np.exp(median(width)), width


def _bisect(rising, low, high, shape):
    """Root of a rising function of an array, element by element."""
    low, high = np.full(shape, low), np.full(shape, high)
    for _ in range(26):
        middle = 0.5 * (low + high)
        above = rising(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return 0.5 * (low + high)


class Forest(eqx.Module):
    """Lyman-alpha optical depths of single sightlines on a grid uniform in ln(wavelength).

    What a source at any redshift sees of it is what lies blue of its own line. The same field at
    1.19 times the wavelength belongs to Lyman beta, and so on; their mean is left as it is.

    Args:
        wave: Observed wavelengths in angstrom, uniform in the logarithm [n].
        depth: Mean (effective) optical depth of Lyman alpha there (`igm.Opacity.lines[0]`) [n].
        sigma: Resolution in km/s (sigma) that the field has; not below that of the pixels.

    Attributes:
        ln_ratio: ln of the median optical depth over the mean one [n].
        width: Standard deviation of its natural logarithm [n].
        modes: Amplitude of each Fourier mode of the field, of unit variance [n // 2 + 1].
    """

    ln_ratio: Float[Array, " n"]
    width: Float[Array, " n"]
    modes: Float[Array, " modes"]

    def __init__(
        self, wave: Float[ArrayLike, " n"], depth: Float[ArrayLike, " n"], *, sigma: float
    ):
        wave, depth = np.asarray(wave, float), np.asarray(depth, float)
        ln_wave = np.log(wave)
        step = C_KMS * (ln_wave[-1] - ln_wave[0]) / (len(wave) - 1)
        nodes = np.linspace(ln_wave[0], ln_wave[-1], _NODES)
        scatter = np.array([
            transmission_scatter(max(np.exp(x) / LYMAN_ALPHA - 1, 0.0), width=step, sigma=sigma)
            for x in nodes
        ])
        mean = np.maximum(np.interp(nodes, ln_wave, depth), 1e-4)  # nothing absorbs: nothing varies
        median, width = lognormal_depth(np.exp(-mean), scatter)
        spread = partial(np.interp, ln_wave, nodes)
        self.ln_ratio = jnp.asarray(spread(np.log(median / mean)), jnp.float32)
        self.width = jnp.asarray(spread(width), jnp.float32)
        k = 2 * np.pi * np.fft.rfftfreq(len(wave), step)
        power = forest_power(k, _POWER[-1]) * np.exp(-((k * sigma) ** 2))
        twice = np.full(len(k), 2.0)  # each mode but the ends stands for its negative too
        twice[0], twice[-1] = 1.0, 2.0 if len(wave) % 2 else 1.0
        self.modes = jnp.asarray(np.sqrt(power * len(wave) / (twice @ power)), jnp.float32)

    def field(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """Gaussian field of unit variance with the forest's correlations, of one sightline."""
        n = len(self.width)
        white = jnp.fft.rfft(jr.normal(key, (n,)))
        return jnp.fft.irfft(white * self.modes, n)

    def ratio(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """Optical depth of one sightline over the mean one; the mean transmission stays."""
        return jnp.exp(self.ln_ratio + self.width * self.field(key))
