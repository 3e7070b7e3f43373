"""Simulations already made, instead of a simulator."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray

from flowspec.data.frame import Columns, Frame, Pixels
from flowspec.data.scaling import TINY
from flowspec.data.spectra import Spectra
from flowspec.data.units import split_unit, without_unit
from flowspec.data.vectors import Vectors
from flowspec.io.hdf5 import read_simulations
from flowspec.prior.prior import Prior
from flowspec.sim.simulator import ONE, Simulated, Simulator

_NOISE = 1 << 30  # past any number of an epoch


class Simulations(Simulator):
    """Simulations already made: arrays of parameters and noisy spectra.

    Args:
        theta: Parameters [rows, params].
        flux: Spectra with noise [rows, pixels], in the units of `Spectra` or as a quantity.
        ivar: Inverse variances [rows, pixels], 0 where there is no data, whatever the flux there.
        wave: Pixel centres in angstrom, or a quantity [pixels].
        prior: The distribution that `theta` was drawn from.
        extra_noise: The spectra of half of every `batch` get further noise, of a standard
            deviation up to so many times their own, and the inverse variance that goes with it:
            as true a simulation of a shorter exposure, which cannot be learned by heart.

    Attributes:
        data: Arrays of the frame: flux and inverse variance, or those of `of_vectors`.

    Raises:
        ValueError: On shapes that do not match, no rows, values that are not finite, wrong units,
            or parameters outside the prior.
    """

    theta: Float[Array, "rows params"]
    data: tuple[Array, ...]
    frame: Frame = eqx.field(static=True)
    prior: Prior = eqx.field(static=True)
    extra_noise: float = eqx.field(static=True)

    def __init__(self, theta, flux, ivar, wave, prior: Prior, *, extra_noise: float = 0.0):
        self.frame, self.prior, self.extra_noise = Pixels(wave), prior, extra_noise
        rows, pixels = len(theta), self.frame.size
        expected = [(rows, len(prior.names)), (rows, pixels), (rows, pixels)]
        shapes = [np.shape(a) for a in (theta, flux, ivar)]
        if shapes != expected:
            raise ValueError(f"expected theta, flux, ivar of shapes {expected}; got {shapes}")
        theta, spectra = _checked_theta(theta, prior), Spectra(wave, flux, ivar)
        # what an observation lacks is masked; a simulation that failed is not one of a gap
        _check_rows(((spectra.ivar > 0) | (split_unit(ivar)[0] == 0)).all(1), "spectra")
        # JAX arrays: under jit they are arguments, where NumPy's would be compiled in
        self.theta = jnp.asarray(theta)
        self.data = jnp.asarray(spectra.flux), jnp.asarray(spectra.ivar)

    @classmethod
    def of_vectors(cls, theta, vectors: Vectors, prior: Prior) -> "Simulations":
        """Simulations of numbers of any kind, with their errors and gaps.

        Args:
            theta: Parameters [rows, params].
            vectors: What was simulated for them, as it would be observed.
            prior: The distribution that `theta` was drawn from.

        Raises:
            ValueError: On shapes that do not match, no rows, or parameters outside the prior.
        """
        if np.shape(theta) != (len(vectors), len(prior.names)):
            raise ValueError(f"expected theta of shape {(len(vectors), len(prior.names))}; got "
                             f"{np.shape(theta)}")
        theta, frame = jnp.asarray(_checked_theta(theta, prior)), Columns(vectors.columns)
        new = object.__new__(cls)
        given = {"theta": theta, "data": tuple(map(jnp.asarray, frame.arrays(vectors))),
                 "frame": frame, "prior": prior, "extra_noise": 0.0}
        for name, value in given.items():
            object.__setattr__(new, name, value)
        return new

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

    @property
    def priors(self) -> tuple[Prior, ...]:
        """The prior alone."""
        return (self.prior,)

    @property
    def sources(self) -> tuple[str, ...]:
        """One."""
        return ONE

    @property
    def wave(self) -> np.ndarray:
        """Pixel centres in angstrom [pixels], of spectra."""
        return self.frame.wave

    @property
    def spectra(self) -> Float[Array, "rows pixels"]:
        """Spectra with noise."""
        return self.data[0]

    @property
    def ivar(self) -> Float[Array, "rows pixels"]:
        """Inverse variances of the spectra."""
        return self.data[1]

    def __len__(self) -> int:
        return len(self.theta)

    def simulate(self, key: PRNGKeyArray, n: int) -> Simulated:
        """Pick `n` rows at random, with repetition."""
        return self._rows(jr.randint(key, (n,), 0, len(self)))

    def batch(self, key: PRNGKeyArray, step: Int[ArrayLike, ""], n: int) -> Simulated:
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
        rows = self._rows(jax.lax.dynamic_slice(order, (part * n,), (n,)))
        if not self.extra_noise:
            return rows
        own = jr.fold_in(jr.fold_in(key, _NOISE), step)
        return rows._replace(data=degraded(own, *rows.data, self.extra_noise))

    def rows(self) -> Simulated:
        """All simulations."""
        return self._rows(np.arange(len(self)))

    def held_out(self, n: int) -> tuple["Simulations", "Simulations"]:
        """All but `n` rows, and these `n`: `split`."""
        return self.split(n)

    def split(self, n: int) -> tuple["Simulations", "Simulations"]:
        """All but `n` rows, and these `n`, chosen at random but always the same.

        Raises:
            ValueError: If that leaves no row for one of the two.
        """
        if not 0 < n < len(self):
            raise ValueError(f"expected to hold out 1 to {len(self) - 1} simulations; got {n}")
        order = np.random.default_rng(0).permutation(len(self))
        return self._part(np.sort(order[n:])), self._part(np.sort(order[:n]))

    def _rows(self, rows) -> Simulated:
        data = tuple(a[rows] for a in self.data)
        return Simulated(self.theta[rows], jnp.zeros(len(rows), int), data)

    def _part(self, rows) -> "Simulations":
        part = self._rows(rows)
        return eqx.tree_at(lambda s: (s.theta, s.data), self, (part.theta, part.data))


def _check_rows(finite: Bool[np.ndarray, " rows"], what: str) -> None:
    if not finite.all():
        raise ValueError(f"expected finite {what}; got others in row {np.argmin(finite)} "
                         f"({np.sum(~finite)} of {len(finite)} rows)")


def _checked_theta(theta, prior: Prior) -> Float[np.ndarray, "rows params"]:
    with np.errstate(over="ignore"):  # beyond float32: infinite, and told
        theta = np.asarray(without_unit(theta, "theta"), np.float32)
    if len(theta) == 0:
        raise ValueError("expected at least one simulation; got none")
    _check_rows(np.isfinite(theta).all(1), "theta")
    low, high = map(np.asarray, prior.bounds(theta))
    slack = 1e-5 * (1 + np.abs(theta))  # of values written in single precision
    inside = ((theta >= low - slack) & (theta <= high + slack)).all(1)
    if not inside.all():
        row = int(np.argmin(inside))
        values = dict(zip(prior.names, theta[row].tolist(), strict=True))
        raise ValueError(f"expected theta inside the prior; got row {row}: {values}")
    return theta


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
    sigma = jnp.where(ivar > 0, jnp.maximum(ivar, TINY) ** -0.5, 0.0)
    return flux + r * sigma * jr.normal(pixel, flux.shape), ivar / (1 + r**2)
