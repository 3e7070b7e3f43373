"""Simulations already made, instead of a simulator."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from flowspec.data.frame import Columns, Frame, Pixels
from flowspec.data.spectra import Spectra
from flowspec.data.vectors import Vectors
from flowspec.io.simulations import read_arrays
from flowspec.prior.prior import Prior
from flowspec.sim.rows import (
    checked_theta,
    degraded,
    kept,
    spectra_rows,
    vector_rows,
    with_noise,
)
from flowspec.sim.simulator import ONE, Simulated, Simulator
from flowspec.sim.user import checked_redshift

_NOISE = 1 << 30  # past any number of an epoch


class Simulations(Simulator):
    """Simulations already made: arrays of parameters, and of numbers of any kind or spectra.

    Rows with NaN or infinity are failures of the simulator: they are dropped, and the log says how
    many.

    Args:
        theta: Parameters [rows, params].
        flux: What was simulated: numbers of any kind [rows, columns], or `Vectors`, with errors
            and gaps; with `wave` spectra [rows, pixels] in the units of `Spectra` or as a quantity.
        ivar: Of spectra with their noise: inverse variances [rows, pixels], 0 where there is no
            data, whatever the flux there.
        wave: Of spectra: pixel centres in angstrom, or a quantity [pixels].
        prior: The distribution that `theta` was drawn from.
        noise: Standard deviation of noise to add to simulations without it, new each time that a
            row is used: a number, one per column, one for each value, or a function of the values
            [rows, columns]. Observations are then given with their errors. By default the
            simulations have their noise.
        columns: Of numbers: their names, by default "x0", "x1", ...
        extra_noise: The spectra of half of every `batch` get further noise, of a standard
            deviation up to so many times their own, and the inverse variance that goes with it:
            as true a simulation of a shorter exposure, which cannot be learned by heart.
        redshift: Of spectra: "z", if the parameter of that name shifts them in ln(wavelength), in
            which `wave` must then be uniform. By default none does.

    Attributes:
        data: Arrays of the frame: flux and inverse variance, or numbers, errors, what is there.
        failed: Rows that were dropped.

    Raises:
        ValueError: On shapes that do not match, no rows, no finite ones, wrong units, or
            parameters outside the prior.
    """

    theta: Float[Array, "rows params"]
    data: tuple[Array, ...]
    frame: Frame = eqx.field(static=True)
    prior: Prior = eqx.field(static=True)
    extra_noise: float = eqx.field(static=True)
    shifted: str | None = eqx.field(static=True)
    noiseless: bool = eqx.field(static=True)
    failed: int = eqx.field(static=True)

    def __init__(
        self, theta, flux, ivar=None, wave=None, prior: Prior | None = None, *,
        noise: float | np.ndarray | Callable | None = None, columns: Sequence[str] = (),
        extra_noise: float = 0.0, redshift: str | None = None,
    ):  # fmt: skip
        if not isinstance(prior, Prior):
            raise ValueError(f"expected prior=, what theta was drawn from; got {prior!r}")
        if isinstance(flux, Spectra):
            flux, ivar, wave = flux.flux, flux.ivar, flux.wave
        flux = flux if isinstance(flux, Vectors) or wave is not None else np.asarray(flux)
        self.prior, self.noiseless = prior, noise is not None
        self.frame = _columns(flux, columns) if wave is None else Pixels(wave)
        self.shifted = checked_redshift(redshift, prior, self.frame)
        if wave is None and (ivar is not None or extra_noise):
            raise ValueError("expected ivar= and extra_noise= of spectra alone; got no wave=")
        self.extra_noise = extra_noise
        _check_shapes(theta, flux, ivar, prior, self.frame)
        theta = checked_theta(theta, prior)
        if wave is None:
            data, whole = vector_rows(self.frame, flux, noise)
        else:
            data, whole = spectra_rows(self.frame, flux, ivar, noise)
        keep = kept(whole, "numbers" if wave is None else "spectra")
        self.failed = int((~keep).sum())
        # JAX arrays: under jit they are arguments, where NumPy's would be compiled in
        self.theta, self.data = jnp.asarray(theta[keep]), tuple(jnp.asarray(a[keep]) for a in data)

    @classmethod
    def from_file(
        cls, path, prior: Prior, *, noise=None, extra_noise: float = 0.0,
        redshift: str | None = None, **kwargs,
    ) -> "Simulations":  # fmt: skip
        """Simulations of a file of HDF5, NumPy (npz) or Parquet.

        It has `theta`, or a column for each parameter, and `wave`, `flux` and `ivar`, or numbers of
        any kind as `x` or in columns of their own.

        Args:
            path: Of the file.
            prior: The distribution that its `theta` was drawn from. Columns of theta are put in
                the order of its names; those it does not name are left out.
            noise: As of `Simulations`, like those that follow.
            extra_noise: Of spectra.
            redshift: Of spectra.
            **kwargs: Options of `flowspec.io.simulations.read_arrays`, such as `param_names`.

        Raises:
            ValueError: If the file is not one of simulations, or lacks a parameter of the prior.
        """
        found = read_arrays(path, prior.names, **kwargs)
        return cls(
            found.theta, found.values, found.ivar, found.wave, prior, noise=noise,
            columns=found.columns, extra_noise=extra_noise, redshift=redshift,
        )  # fmt: skip

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
        """One."""
        return ONE

    @property
    def wave(self) -> np.ndarray:
        """Pixel centres in angstrom [pixels], of spectra."""
        return self.frame.wave

    @property
    def spectra(self) -> Float[Array, "rows pixels"]:
        """Spectra, as they are stored."""
        return self.data[0]

    @property
    def ivar(self) -> Float[Array, "rows pixels"]:
        """Inverse variances of the spectra."""
        return self.data[1]

    def __len__(self) -> int:
        return len(self.theta)

    def simulate(self, key: PRNGKeyArray, n: int) -> Simulated:
        """Pick `n` rows at random, with repetition."""
        return self._rows(jr.randint(key, (n,), 0, len(self)), jr.fold_in(key, _NOISE))

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
        own = jr.fold_in(jr.fold_in(key, _NOISE), step)
        rows = self._rows(jax.lax.dynamic_slice(order, (part * n,), (n,)), jr.fold_in(own, 1))
        if not self.extra_noise:
            return rows
        return rows._replace(data=degraded(own, *rows.data, self.extra_noise))

    def rows(self) -> Simulated:
        """All simulations, with noise that is always the same."""
        return self._rows(np.arange(len(self)), jr.key(0))

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

    def _rows(self, rows, key: PRNGKeyArray) -> Simulated:
        """Some rows, with noise where they are stored without."""
        data = tuple(a[rows] for a in self.data)
        if self.noiseless:
            data = with_noise(key, self.frame, data)
        return Simulated(self.theta[rows], jnp.zeros(len(rows), int), data)

    def _part(self, rows) -> "Simulations":
        part = self.theta[rows], tuple(a[rows] for a in self.data)
        return eqx.tree_at(lambda s: (s.theta, s.data), self, part)


def _columns(values, names: Sequence[str]) -> Columns:
    """The frame of numbers, of those names or of names made up."""
    if isinstance(values, Vectors):
        return Columns(values.columns)
    count = values.shape[-1] if values.ndim == 2 else 0
    names = tuple(names) or tuple(f"x{i}" for i in range(count))
    if len(names) != count:
        raise ValueError(f"expected numbers of shape [rows, columns] and as many names; got "
                         f"{values.shape} and {len(names)}")
    return Columns(names)


def _check_shapes(theta, flux, ivar, prior: Prior, frame: Frame) -> None:
    rows = len(theta)
    count = (len(flux), frame.size) if isinstance(flux, Vectors) else np.shape(flux)
    given = [np.shape(theta), count] + ([] if ivar is None else [np.shape(ivar)])
    expected = [(rows, len(prior.names))] + [(rows, frame.size)] * (len(given) - 1)
    if given != expected:
        names = "theta, flux, ivar"[: 11 if ivar is None else None]
        raise ValueError(f"expected {names} of shapes {expected}; got {given}")
