"""Instruments: a pixel grid, a line-spread function and a typical noise curve."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from flowspec.prior.prior import Prior
from flowspec.sim.instrument.lattice import C_KMS, Lattice

_SLOTS = 32  # pixels of a block of `PixelOperator`


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
        widest: Largest line-spread function over `lsf`, for what stands for many instruments; 1
            for one, whose spectra differ by `flowspec.sim.instrument.blur.WIDTH`.
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


class PixelOperator(eqx.Module):
    """Line-spread function and pixel integration as one banded matrix on a lattice.

    The band is cut into blocks of neighbouring pixels, each a small dense matrix on a stretch of
    the lattice. Matrix products read their input once; a sum of shifted slices is fused by the
    compiler with what computes the spectrum, which is then computed once per slice.

    Args:
        instrument: Whose pixels.
        lattice: On which spectra live; must reach past the pixels by the line-spread function.
    """

    weights: Float[Array, "blocks points slots"]
    starts: np.ndarray
    place: np.ndarray
    first: int = eqx.field(static=True)
    last: int = eqx.field(static=True)

    def __init__(self, instrument: Instrument, lattice: Lattice):
        sigma, width = instrument.lsf / C_KMS, instrument.widths
        position = (np.log(instrument.wave) - lattice.start) / lattice.step
        reach = int(np.ceil((4.5 * sigma + width / 2).max() / lattice.step))
        nearest = np.round(position).astype(int)
        offset = (nearest + np.arange(-reach, reach + 1)[:, None] - position) * lattice.step
        weights = ndtr((offset + width / 2) / sigma) - ndtr((offset - width / 2) / sigma)
        weights = np.asarray(weights / weights.sum(0))
        self.first, self.last = int(nearest[0] - reach), int(nearest[-1] + reach + 1)
        span = int(np.ceil(_SLOTS * np.median(np.diff(nearest))))  # a block ends early at a gap
        block, slot, left = _blocks(nearest - reach - self.first, span)
        points = min(span + 2 * reach + 1, self.last - self.first)
        self.starts = np.minimum(left, self.last - self.first - points)
        own = (nearest - reach - self.first) - self.starts[block]
        dense = np.zeros((len(left), points, _SLOTS), np.float32)
        taps = np.arange(2 * reach + 1)[:, None]
        dense[block, own + taps, slot] = weights
        self.weights = jnp.asarray(dense)
        self.place = block * _SLOTS + slot

    def __call__(self, spectrum: Float[Array, " points"]) -> Float[Array, " pixels"]:
        """Pixel values of a spectrum given on lattice points ``first`` to ``last``."""
        stretch = spectrum[self.starts[:, None] + np.arange(self.weights.shape[1])]
        return jnp.einsum("bk,bks->bs", stretch, self.weights).reshape(-1)[self.place]


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
