"""A user's own function as a simulator, of spectra or of numbers of any kind."""

import inspect
import logging
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from flowspec.data.frame import Columns, Frame, Pixels
from flowspec.data.scaling import TINY
from flowspec.data.spectra import Spectra
from flowspec.data.units import flux_factor, split_unit, without_unit
from flowspec.data.vectors import Vectors
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.noise import EXACT, Noise
from flowspec.sim.simulator import ONE, Simulated, Simulator
from flowspec.sim.sites import prior_and_function

log = logging.getLogger("flowspec")
PRESET_SNR = (0.5, 50.0)  # noise of a simulator that brings none: white, this broad


class VectorNoise(eqx.Module):
    """Errors and gaps of vectors, those of a random row.

    Attributes:
        err: 1 sigma, 0 where the simulated numbers are noisy already [rows, columns].
        present: Whether there is a number [rows, columns].
    """

    err: Float[Array, "rows columns"]
    present: Bool[Array, "rows columns"]

    def observe(
        self, key: PRNGKeyArray, pixel: PRNGKeyArray, clean: Float[Array, "n columns"]
    ) -> tuple[Array, Array, Array]:
        """Values with noise, their errors, and which are there [n, columns] each."""
        row = jr.randint(key, (len(clean),), 0, len(self.err))
        err, present = self.err[row], self.present[row]
        values = clean + err * jr.normal(pixel, clean.shape)
        return jnp.where(present, values, 0.0), jnp.where(present, err, 0.0), present


class SpectrumNoise(eqx.Module):
    """Inverse variances of spectra: of one standard deviation, or drawn.

    Attributes:
        noise: What draws them, or None.
        sigma: Standard deviation where they are not drawn [pixels].
    """

    noise: Noise | None
    sigma: Float[Array, " pixels"]

    def observe(
        self, key: PRNGKeyArray, pixel: PRNGKeyArray, clean: Float[Array, "n pixels"]
    ) -> tuple[Array, Array]:
        """Flux with noise and its inverse variance [n, pixels] each."""
        if self.noise is None:
            ivar = jnp.broadcast_to(self.sigma**-2, clean.shape)
        else:
            ivar = jax.vmap(self.noise.draw)(jr.split(key, len(clean)), clean)
        white = jr.normal(pixel, clean.shape) * jnp.maximum(ivar, TINY) ** -0.5
        return jnp.where(ivar > 0, clean + white, 0.0), ivar


class CallableSimulator(Simulator):
    """Any function ``(key, theta) -> flux`` as a simulator.

    Args:
        function: Maps a key and parameters [params] to a noiseless spectrum [pixels], or to numbers
            [columns]; must be traceable by JAX. One that is not, of NumPy, is run beforehand by
            `flowspec.simulate`.
        prior: Of the parameters, in the order of `theta`.
        wave: Pixel centres in angstrom, or a quantity [pixels].
        noise: Of spectra: `Spectra` to take inverse variances from, a constant standard deviation,
            or standard deviations [pixels] in the units of the flux, 1e-17 erg/s/cm2/A unless the
            observations come in others too, or as a quantity; by default white noise at a
            signal-to-noise ratio log-uniform in `PRESET_SNR`. Of numbers: `Vectors` to take errors
            and gaps from, or standard deviations; by default none is added, the function's numbers
            are what is observed.
        columns: Instead of `wave`: names of the numbers that the function gives.
        redshift: Of spectra: "z", if the parameter of that name shifts them in ln(wavelength), in
            which `wave` must then be uniform. By default none does.

    Raises:
        ValueError: If JAX cannot trace the function, it does not return one value per pixel or
            column, both or neither
            of `wave` and `columns` are given, or a standard deviation is not positive, has a unit
            that cannot be converted, or of spectra no inverse square in single precision.
    """

    function: Callable = eqx.field(static=True)
    prior: Prior = eqx.field(static=True)
    frame: Frame = eqx.field(static=True)
    observed: SpectrumNoise | VectorNoise
    shifted: str | None = eqx.field(static=True)

    def __init__(
        self,
        function: Callable,
        prior: Prior,
        wave: np.ndarray | None = None,
        noise: Spectra | Vectors | float | np.ndarray | None = None,
        *,
        columns: Sequence[str] | None = None,
        redshift: str | None = None,
    ):
        if (wave is None) == (columns is None):
            raise ValueError("expected wave=, of spectra, or columns=, of other numbers; got "
                             f"{'both' if columns is not None else 'neither'}")
        self.function, self.prior = function, prior
        self.frame = Pixels(wave) if columns is None else Columns(columns)
        self.shifted = checked_redshift(redshift, prior, self.frame)
        shape = _traced(function, len(prior.names)).shape
        if shape != (self.frame.size,):
            what = "flux" if columns is None else "numbers"
            raise ValueError(f"expected {what} of shape {(self.frame.size,)}; got {shape}")
        self.observed = (_spectrum_noise if columns is None else _vector_noise)(self.frame, noise)

    @classmethod
    def from_numpyro(
        cls, model: Callable, observed: str, *args, wave: np.ndarray | None = None,
        noise: Spectra | Vectors | float | np.ndarray | None = None, redshift: str | None = None,
    ) -> "CallableSimulator":  # fmt: skip
        """The simulator that a numpyro model is: its sample sites are parameters, one is the data.

        Args:
            model: Samples the observed site where it is given no data.
            observed: Name of that site, whose noise is in it.
            *args: Of the model.
            wave: Of spectra, as of the class, like those that follow.
            noise: To add to what the model gives.
            redshift: Of spectra.

        Raises:
            ValueError: If there is no such site, or the distribution of a parameter depends on
                another.
        """
        prior, function = prior_and_function(model, observed, args)
        columns = None
        if wave is None:
            size = jax.eval_shape(function, jr.key(0), jnp.zeros(len(prior.names))).shape[0]
            columns = [observed] if size == 1 else [f"{observed}_{i}" for i in range(size)]
        return cls(function, prior, wave, noise, columns=columns, redshift=redshift)

    @property
    def priors(self) -> tuple[Prior, ...]:
        """The prior alone."""
        return (self.prior,)

    @property
    def redshift(self) -> str | None:
        """Name of the parameter that is the redshift, if that was asked for."""
        return self.shifted

    @property
    def sources(self) -> tuple[str, ...]:
        """One: whatever the function simulates."""
        return ONE

    @property
    def wave(self) -> np.ndarray:
        """Pixel centres in angstrom [pixels], of a simulator of spectra."""
        return self.frame.wave

    @property
    def takes_noise(self) -> bool:
        """Yes."""
        return True

    def with_noise(self, obs: Spectra | Vectors, *, exact: bool = False) -> "CallableSimulator":
        """The same simulator with its noise drawn from observations.

        One of spectra made with a standard deviation, so in the unit of the observations, takes
        their inverse variances as they are; any other their signal-to-noise ratios.

        Args:
            obs: The observations.
            exact: At their signal-to-noise ratios alone, instead of a wider range.
        """
        return eqx.tree_at(lambda s: s.observed, self, self._noise_of(obs, exact))

    def _noise_of(self, obs, exact: bool) -> SpectrumNoise | VectorNoise:
        if self.frame.kind == "columns":
            return _vector_noise(self.frame, self.frame.seen(obs))
        own = self.observed.noise
        absolute = own is None or own.range is None
        limits = [] if not (absolute or exact) else [None if absolute else EXACT]
        drawn = Noise.from_observed(obs, self.wave, *limits)
        return SpectrumNoise(drawn, jnp.ones(self.frame.size))

    def flux(self, key: PRNGKeyArray, theta: Float[Array, " params"]) -> Float[Array, " pixels"]:
        """Noiseless spectrum [pixels], or numbers [columns]."""
        return jnp.asarray(self.function(key, theta), jnp.float32)

    def simulate(self, key: PRNGKeyArray, n: int) -> Simulated:
        """Draw `n` parameters and their data with noise."""
        prior_key, flux_key, noise_key, pixel_key = jr.split(key, 4)
        theta = self.prior.sample(prior_key, (n,))
        clean = jax.vmap(self.flux)(jr.split(flux_key, n), theta)
        data = self.observed.observe(noise_key, pixel_key, clean)
        return Simulated(theta, jnp.zeros(n, int), data)


def checked_redshift(redshift: str | None, prior: Prior, frame: Frame) -> str | None:
    """The parameter that is the redshift of spectra, as users name it.

    Raises:
        ValueError: If it is not `z`, not of the prior, or the data are not spectra.
    """
    if redshift is None:
        if "z" in prior.names and frame.kind == Pixels.kind:
            log.warning("z is a parameter like any other: redshift=\"z\" makes it the redshift of "
                        "the spectra")
        return None
    if redshift != "z" or "z" not in prior.names or frame.kind != Pixels.kind:
        raise ValueError(f"expected redshift='z' of spectra (wave=) with a parameter of that name; "
                         f"got {redshift!r} of {', '.join(prior.names)} and {frame.kind}")
    return redshift


def _traced(function: Callable, params: int):
    """Shape and type of what a function gives.

    Raises:
        ValueError: If it does not take a key and parameters, or JAX cannot trace it.
    """
    try:
        inspect.signature(function).bind(None, None)
        return jax.eval_shape(lambda k, t: jnp.asarray(function(k, t)), jr.key(0),
                              jnp.zeros(params))  # fmt: skip
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
        raise ValueError(
            "expected a function (key, theta) that JAX can trace, of jax.numpy in place of numpy; "
            f"got {type(error).__name__}. One of NumPy: fs.simulate(function, prior, n)"
        ) from None
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise ValueError(
            f"expected a function (key, theta) of jax.numpy; got {error}. One of NumPy, of theta "
            "alone: fs.simulate(function, prior, n)"
        ) from None


def _spectrum_noise(frame: Pixels, noise) -> SpectrumNoise:
    ones = jnp.ones(frame.size)
    if isinstance(noise, Spectra):
        return SpectrumNoise(Noise.from_observed(noise, frame.wave), ones)
    if noise is None:
        return SpectrumNoise(Noise.preset(np.ones(frame.size), PRESET_SNR), ones)
    sigma, unit = split_unit(noise)
    sigma = _positive(frame, sigma if unit is None else sigma * flux_factor(unit, frame.wave))
    if not (1e-18 < sigma.min() and sigma.max() < 1e18):
        raise ValueError(f"expected noise between 1e-18 and 1e18, as single precision has its "
                         f"inverse square; got {sigma.min():g}: take another unit of flux")
    return SpectrumNoise(None, jnp.asarray(sigma, jnp.float32))


def _vector_noise(frame: Columns, noise) -> VectorNoise:
    if isinstance(noise, Vectors):
        noise = noise.select(frame.names)
        noise = noise[np.flatnonzero(noise.usable)]
        if len(noise) == 0:
            raise ValueError(f"expected rows with some of {', '.join(frame.names)}; got none")
        return VectorNoise(jnp.asarray(noise.err), jnp.asarray(noise.present))
    sigma = jnp.zeros(frame.size)
    if noise is not None:
        sigma = jnp.asarray(_positive(frame, without_unit(noise, "noise")), jnp.float32)
    return VectorNoise(sigma[None], jnp.ones((1, frame.size), bool))


def _positive(frame: Frame, noise: np.ndarray) -> np.ndarray:
    if noise.shape not in ((), (1,), (frame.size,)):
        raise ValueError(f"expected one noise, or {frame.size}; got shape {noise.shape}")
    sigma = np.broadcast_to(np.asarray(noise, float), (frame.size,))
    if not (sigma > 0).all():
        raise ValueError(f"expected noise above zero; got {sigma.min():g}")
    return sigma
