"""A user's own simulations in the place of `GalaxySimulator`: a function, or arrays of them."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from flowspec.data.spectra import Spectra
from flowspec.io.hdf5 import read_simulations
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.noise import EXACT, Noise

PRESET_SNR = (0.5, 50.0)  # noise of a simulator that brings none: white, this broad


class CallableSimulator(eqx.Module):
    """Any function ``(key, theta) -> flux`` as a simulator.

    Args:
        function: Maps a key and parameters [params] to a noiseless spectrum [pixels]; must be
            traceable by JAX. Numpy code can be wrapped in `jax.pure_callback`.
        prior: Of the parameters, in the order of `theta`.
        wave: Pixel centres in angstrom [pixels].
        noise: `Spectra` to take inverse variances from, a constant standard deviation, or standard
            deviations [pixels] in the units of the flux. By default white noise at a
            signal-to-noise ratio log-uniform in `PRESET_SNR`.

    Raises:
        ValueError: If the function does not return one value per pixel, or a standard deviation
            is not positive.
    """

    function: Callable = eqx.field(static=True)
    prior: Prior = eqx.field(static=True)
    wave: np.ndarray
    noise: Noise | None
    sigma: Float[Array, " pixels"]

    def __init__(
        self,
        function: Callable,
        prior: Prior,
        wave: np.ndarray,
        noise: Spectra | float | np.ndarray | None = None,
    ):
        self.function, self.prior, self.wave = function, prior, np.asarray(wave, float)
        shape = jax.eval_shape(function, jr.key(0), jnp.zeros(len(prior.names))).shape
        if shape != self.wave.shape:
            raise ValueError(f"expected flux of shape {self.wave.shape}; got {shape}")
        self.sigma = jnp.ones(len(self.wave))
        if isinstance(noise, Spectra):
            self.noise = Noise.from_observed(noise, self.wave)
        elif noise is None:
            self.noise = Noise.preset(np.ones(len(self.wave)), PRESET_SNR)
        else:
            sigma = np.broadcast_to(np.asarray(noise, float), self.wave.shape)
            if not (sigma > 0).all():
                raise ValueError(f"expected noise above zero; got {sigma.min():g}")
            self.noise, self.sigma = None, jnp.asarray(sigma, jnp.float32)

    def with_noise(self, obs: Spectra, *, exact: bool = False) -> "CallableSimulator":
        """The same simulator with its noise drawn from observed spectra.

        One made with a standard deviation, so in the unit of the observations, takes their inverse
        variances as they are; any other their signal-to-noise ratios.

        Args:
            obs: The spectra.
            exact: At their signal-to-noise ratios alone, instead of a wider range.
        """
        new = CallableSimulator(self.function, self.prior, self.wave, obs)
        absolute = self.noise is None or self.noise.range is None
        if absolute or exact:
            limits = None if absolute else EXACT
            noise = Noise.from_observed(obs, self.wave, limits)
            new = eqx.tree_at(lambda s: s.noise, new, noise)
        return new

    def flux(self, key: PRNGKeyArray, theta: Float[Array, " params"]) -> Float[Array, " pixels"]:
        """Noiseless spectrum [pixels]."""
        return jnp.asarray(self.function(key, theta), jnp.float32)

    def draw(
        self, key: PRNGKeyArray, n: int
    ) -> tuple[Float[Array, "n params"], Float[Array, "n pixels"], Float[Array, "n pixels"]]:
        """Draw `n` parameters, noisy spectra and inverse variances."""
        prior_key, flux_key, noise_key, pixel_key = jr.split(key, 4)
        theta = self.prior.sample(prior_key, (n,))
        flux = jax.vmap(self.flux)(jr.split(flux_key, n), theta)
        if self.noise is None:
            ivar = jnp.broadcast_to(self.sigma**-2, flux.shape)
        else:
            ivar = jax.vmap(self.noise.draw)(jr.split(noise_key, n), flux)
        white = jr.normal(pixel_key, flux.shape) * jnp.maximum(ivar, 1e-30) ** -0.5
        return theta, jnp.where(ivar > 0, flux + white, 0.0), ivar


_NOISE = 1 << 30  # past any number of an epoch


class Simulations(eqx.Module):
    """Simulations already made: arrays of parameters and noisy spectra.

    Args:
        theta: Parameters [rows, params].
        flux: Spectra with noise [rows, pixels].
        ivar: Inverse variances [rows, pixels], 0 where there is no data.
        wave: Pixel centres in angstrom [pixels].
        prior: The distribution that `theta` was drawn from.
        extra_noise: The spectra of half of every `batch` get further noise, of a standard
            deviation up to so many times their own, and the inverse variance that goes with it:
            as true a simulation of a shorter exposure, which cannot be learned by heart.

    Raises:
        ValueError: On shapes that do not match, values that are not finite, or parameters
            outside the prior.
    """

    theta: Float[Array, "rows params"]
    spectra: Float[Array, "rows pixels"]
    ivar: Float[Array, "rows pixels"]
    wave: np.ndarray
    prior: Prior = eqx.field(static=True)
    extra_noise: float = eqx.field(static=True)

    def __init__(self, theta, flux, ivar, wave, prior: Prior, *, extra_noise: float = 0.0):
        # JAX arrays: under jit they are arguments, where NumPy's would be compiled in
        arrays = (jnp.asarray(a, jnp.float32) for a in (theta, flux, ivar))
        self.theta, self.spectra, self.ivar = arrays
        self.wave, self.prior = np.asarray(wave, float), prior
        self.extra_noise = extra_noise
        rows, pixels = len(self.theta), len(self.wave)
        expected = [(rows, len(prior.names)), (rows, pixels), (rows, pixels)]
        shapes = [a.shape for a in (self.theta, self.spectra, self.ivar)]
        if shapes != expected:
            raise ValueError(f"expected theta, flux, ivar of shapes {expected}; got {shapes}")
        for name in ("theta", "spectra", "ivar"):
            bad = ~np.asarray(jnp.isfinite(getattr(self, name)).all(1))
            if bad.any():
                raise ValueError(f"expected finite {name}; got others in row {np.argmax(bad)}")
        low, high = prior.bounds(self.theta)
        slack = 1e-5 * (1 + jnp.abs(self.theta))  # of values written in single precision
        inside = np.asarray(((self.theta >= low - slack) & (self.theta <= high + slack)).all(1))
        if not inside.all():
            row = int(np.argmin(inside))
            values = dict(zip(prior.names, self.theta[row].tolist(), strict=True))
            raise ValueError(f"expected theta inside the prior; got row {row}: {values}")

    @classmethod
    def from_file(cls, path, prior: Prior, **kwargs) -> "Simulations":
        """Simulations of an HDF5 file with `theta`, `wave`, `flux` and `ivar`.

        Args:
            path: Of the file.
            prior: The distribution that its `theta` was drawn from. Columns of theta are put in
                the order of its names; those it does not name are left out.
            **kwargs: Options of `flowspec.io.hdf5.read_simulations`, such as `param_names`.

        Raises:
            ValueError: If the file is not one of simulations, or lacks a parameter of the prior.
        """
        theta, names, spectra = read_simulations(path, **kwargs)
        missing = set(prior.names) - set(names)
        if missing:
            raise ValueError(
                f"{path}: expected parameters {', '.join(prior.names)}; got {', '.join(names)}"
            )
        theta = theta[:, [names.index(name) for name in prior.names]]
        return cls(theta, spectra.flux, spectra.ivar, spectra.wave, prior)

    def __len__(self) -> int:
        return len(self.theta)

    def draw(
        self, key: PRNGKeyArray, n: int
    ) -> tuple[Float[Array, "n params"], Float[Array, "n pixels"], Float[Array, "n pixels"]]:
        """Pick `n` rows at random, with repetition."""
        return self._rows(jr.randint(key, (n,), 0, len(self)))

    def batch(
        self, key: PRNGKeyArray, step: Int[ArrayLike, ""], n: int
    ) -> tuple[Float[Array, "n params"], Float[Array, "n pixels"], Float[Array, "n pixels"]]:
        """The `n` rows of one training step: every epoch a new order, no row twice in one.

        A function of key and step alone, so that a resumed run sees the same batches. The rows
        left over at the end of an epoch, fewer than `n`, sit that epoch out.

        Raises:
            ValueError: If there are fewer than `n` rows.
        """
        if n > len(self):
            raise ValueError(f"expected a batch of at most {len(self)} simulations; got {n}")
        epoch, part = jnp.divmod(step, len(self) // n)
        order = jr.permutation(jr.fold_in(key, epoch), len(self))
        theta, flux, ivar = self._rows(jax.lax.dynamic_slice(order, (part * n,), (n,)))
        if self.extra_noise:
            own = jr.fold_in(jr.fold_in(key, _NOISE), step)
            flux, ivar = degraded(own, flux, ivar, self.extra_noise)
        return theta, flux, ivar

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Parameters, spectra and inverse variances of all simulations."""
        return tuple(np.asarray(a) for a in (self.theta, self.spectra, self.ivar))

    def split(self, n: int) -> tuple["Simulations", "Simulations"]:
        """All but `n` rows, and these `n`, chosen at random but always the same.

        Raises:
            ValueError: If that leaves no row for one of the two.
        """
        if not 0 < n < len(self):
            raise ValueError(f"expected to hold out 1 to {len(self) - 1} simulations; got {n}")
        order = np.random.default_rng(0).permutation(len(self))
        return self._part(np.sort(order[n:])), self._part(np.sort(order[:n]))

    def _rows(self, rows):
        return self.theta[rows], self.spectra[rows], self.ivar[rows]

    def _part(self, rows):
        return eqx.tree_at(lambda s: (s.theta, s.spectra, s.ivar), self, self._rows(rows))


def degraded(
    key: PRNGKeyArray,
    flux: Float[Array, "n pixels"],
    ivar: Float[Array, "n pixels"],
    most: float,
) -> tuple[Float[Array, "n pixels"], Float[Array, "n pixels"]]:
    """Spectra of which half, at random, have further noise: ``sigma^2 -> sigma^2 (1 + r^2)``.

    Args:
        key: Random key.
        flux: Spectra with noise.
        ivar: Their inverse variances.
        most: Greatest r; it is uniform from 0.
    """
    chosen, size, pixel = jr.split(key, 3)
    r = jr.uniform(size, (len(flux), 1), maxval=most) * jr.bernoulli(chosen, 0.5, (len(flux), 1))
    sigma = jnp.where(ivar > 0, jnp.maximum(ivar, 1e-30) ** -0.5, 0.0)
    return flux + r * sigma * jr.normal(pixel, flux.shape), ivar / (1 + r**2)
