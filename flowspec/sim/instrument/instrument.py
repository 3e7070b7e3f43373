"""Instruments: a pixel grid, a line-spread function and a typical noise curve."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, ArrayLike, Float, ScalarLike

from flowspec.prior.prior import Prior
from flowspec.sim.instrument.blur import added_variance
from flowspec.sim.instrument.lattice import C_KMS, Lattice

_SLOTS = 32  # pixels of a block of `PixelOperator`
# Line-spread functions from the finest to the widest. A Gaussian is a smooth function of the
# logarithm of its width: a cubic through four within a factor of two has it to 0.2 % of its peak.
_WIDTHS = 4


class Instrument(eqx.Module):
    """What turns a spectrum into pixels.

    Args:
        name: For messages and records.
        wave: Pixel centres in vacuum angstrom, increasing [pixels].
        lsf: Gaussian sigma of the line-spread function in km/s [pixels], without the pixel.
        noise: Typical shape of the noise per pixel in any unit [pixels], or several that are as
            likely [curves, pixels].
        snr: Lowest and highest signal-to-noise ratio per pixel of the preset noise.
        oversample: Lattice points per (smallest) pixel.
        detector: Pixels of the reduced data (angstrom) where `wave` is not that, else None.
        correlation: Of the noise in neighbouring pixels of the reduced data.
        width: Pixel widths (angstrom) where pixels do not touch (arms, gaps), else None.
        exposure: What draws inverse variances (as `Noise.draw`) in place of `noise` and `snr`.
        residual: What sky subtraction leaves, 1 sigma in 1e-17 erg/s/cm2/A [pixels], or None for
            as much as the noise at the known lines of the airglow.
        widest: Largest line-spread function over `lsf`, for what stands for many instruments, or
            sources of any size; 1 for one, whose spectra differ by
            `flowspec.sim.instrument.blur.WIDTH`.
        told: Whether spectra come with the width of their line-spread function, an input then.
        zero: Largest error of the zero point of wavelengths, in ln(wavelength) [pixels], or None.
        prior: Of the galaxies that it sees, which `GalaxySimulator` takes by default; without one
            a simulator of galaxies has to be given a prior.
    """

    name: str = eqx.field(static=True)
    wave: np.ndarray
    lsf: np.ndarray
    noise: np.ndarray
    snr: tuple[float, float] = eqx.field(static=True)
    oversample: int = eqx.field(static=True, default=2)
    detector: np.ndarray | None = None
    correlation: float = eqx.field(static=True, default=0.0)
    width: np.ndarray | None = None
    exposure: eqx.Module | None = None
    residual: np.ndarray | None = None
    widest: float = eqx.field(static=True, default=1.0)
    told: bool = eqx.field(static=True, default=False)
    zero: np.ndarray | None = None
    prior: Prior | None = eqx.field(static=True, default=None)

    @property
    def widths(self) -> np.ndarray:
        """Pixel widths in ln(wavelength) [pixels]."""
        if self.width is None:
            return np.gradient(np.log(self.wave))
        return self.width / self.wave

    @property
    def step(self) -> float:
        """Lattice spacing in ln(wavelength)."""
        return float(self.widths.min() / self.oversample)

    @property
    def told_widths(self) -> tuple[float, float] | None:
        """Least and largest line-spread function in km/s where spectra come with it, else None."""
        typical = float(np.median(self.lsf))
        return (typical, typical * self.widest) if self.told else None

    @property
    def ln_widths(self) -> tuple[float, ...]:
        """Natural logs of the widths over `lsf` that pixels have to know: 0 alone, or several where
        the function has many widths and is not one of velocity, which light can be blurred by."""
        if self.widest == 1 or np.ptp(self.lsf) < 1e-3 * self.lsf.max():
            return (0.0,)
        return tuple(np.linspace(0.0, np.log(self.widest), _WIDTHS).tolist())


class PixelOperator(eqx.Module):
    """Line-spread function and pixel integration as one banded matrix on a lattice.

    The band is cut into blocks of neighbouring pixels, each a small dense matrix on a stretch of
    the lattice. Matrix products read their input once; a sum of shifted slices is fused by the
    compiler with what computes the spectrum, which is then computed once per slice.

    Args:
        instrument: Whose pixels.
        lattice: On which spectra live; must reach past the pixels by the line-spread function.
    """

    weights: Float[Array, "widths blocks points slots"]
    starts: np.ndarray
    place: np.ndarray
    zero: Float[Array, " points"] | None
    first: int = eqx.field(static=True)
    last: int = eqx.field(static=True)
    ln_widths: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, instrument: Instrument, lattice: Lattice):
        self.ln_widths = instrument.ln_widths
        sigmas = np.exp(self.ln_widths)[:, None] * instrument.lsf / C_KMS
        width = instrument.widths
        position = (np.log(instrument.wave) - lattice.start) / lattice.step
        reach = int(np.ceil((4.5 * sigmas[-1] + width / 2).max() / lattice.step))
        nearest = np.round(position).astype(int)
        offset = (nearest + np.arange(-reach, reach + 1)[:, None] - position) * lattice.step
        self.first, self.last = int(nearest[0] - reach), int(nearest[-1] + reach + 1)
        span = int(np.ceil(_SLOTS * np.median(np.diff(nearest))))  # a block ends early at a gap
        block, slot, left = _blocks(nearest - reach - self.first, span)
        points = min(span + 2 * reach + 1, self.last - self.first)
        self.starts = np.minimum(left, self.last - self.first - points)
        own = (nearest - reach - self.first) - self.starts[block]
        dense = np.zeros((len(sigmas), len(left), points, _SLOTS), np.float32)
        taps = np.arange(2 * reach + 1)[:, None]
        for rows, sigma in zip(dense, sigmas, strict=True):
            weights = ndtr((offset + width / 2) / sigma) - ndtr((offset - width / 2) / sigma)
            rows[block, own + taps, slot] = np.asarray(weights / weights.sum(0))
        self.weights = jnp.asarray(dense)
        self.place = block * _SLOTS + slot
        self.zero = None
        if instrument.zero is not None:
            window = np.arange(self.first, self.last)
            zero = np.interp(window, position, instrument.zero) / lattice.step
            self.zero = jnp.asarray(zero, jnp.float32)

    @property
    def widens(self) -> bool:
        """Whether it knows line-spread functions of several widths."""
        return len(self.ln_widths) > 1

    def blur(self, lsf: float, wider: ScalarLike) -> ScalarLike:
        """Squared dispersion (km/s) that light has to have beside what the pixels blur it by.

        Args:
            lsf: Of the instrument, km/s.
            wider: Natural log of the width of the line-spread function over the instrument's.
        """
        return 0.0 if self.widens else added_variance(lsf, wider)

    def __call__(
        self, spectrum: Float[Array, " points"], wider: ScalarLike = 0.0, zero: ScalarLike = 0.0
    ) -> Float[Array, " pixels"]:
        """Pixel values of a spectrum given on lattice points ``first`` to ``last``.

        Args:
            spectrum: Per unit ln(wavelength).
            wider: Natural log of the width of the line-spread function over that of the
                instrument, if it `widens`; else light has to be as wide already.
            zero: Error of the zero point of wavelengths over the largest, where there is one.
        """
        if self.zero is not None:
            spectrum = moved(spectrum, zero * self.zero)
        stretch = spectrum[self.starts[:, None] + np.arange(self.weights.shape[2])]
        if not self.widens:
            return jnp.einsum("bk,bks->bs", stretch, self.weights[0]).reshape(-1)[self.place]
        seen = jnp.einsum("bk,nbks->nbs", stretch, self.weights).reshape(len(self.weights), -1)
        return lagrange(np.array(self.ln_widths), wider) @ seen[:, self.place]


def lagrange(
    nodes: Float[np.ndarray, " nodes"], x: Float[ArrayLike, "*x"]
) -> Float[Array, "nodes *x"]:
    """Weights of values at `nodes` in the polynomial through them, at `x`."""
    x = jnp.asarray(x)
    weights = []
    for i, node in enumerate(nodes):
        others = np.delete(nodes, i)
        weights.append(math.prod((x - other) / (node - other) for other in others))
    return jnp.stack(weights)


def moved(
    spectrum: Float[Array, " points"], steps: Float[Array, " points"]
) -> Float[Array, " points"]:
    """A spectrum moved to larger indices by a slowly varying number of points, cubic between.

    A cubic keeps area, place and width of a line that the points hardly resolve.
    """
    at = jnp.arange(len(spectrum)) - steps
    low = jnp.floor(at).astype(int)
    weights = lagrange(np.arange(-1.0, 3.0), at - low)
    taps = jnp.clip(low + np.arange(-1, 3)[:, None], 0, len(spectrum) - 1)
    return (weights * spectrum[taps]).sum(0)


def _blocks(starts: np.ndarray, span: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of the block of each pixel, its slot there, and the first point of each block."""
    block, slot, left = [], [], []
    for start in starts:
        if not left or slot[-1] == _SLOTS - 1 or start - left[-1] > span:
            left.append(start)
            slot.append(0)
        else:
            slot.append(slot[-1] + 1)
        block.append(len(left) - 1)
    return np.array(block), np.array(slot), np.array(left)


def curve(wave, nodes, values):
    """Smooth positive curve through a few nodes, such as the noise of an instrument."""
    return np.exp(np.interp(wave, nodes, np.log(values)))
