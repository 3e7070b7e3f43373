"""Instruments: a pixel grid, a line-spread function and a typical noise curve."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from flowspec.data.air import air_to_vacuum
from flowspec.sim.instrument.lattice import C_KMS, Lattice

_SLOTS = 32  # pixels of a block of `PixelOperator`


class Instrument(eqx.Module):
    """What turns a spectrum into pixels.

    Args:
        name: For messages and records.
        wave: Pixel centres in vacuum angstrom, increasing [pixels].
        lsf: Gaussian sigma of the line-spread function in km/s [pixels], without the pixel.
        noise: Typical shape of the noise per pixel in any unit [pixels].
        snr: Lowest and highest signal-to-noise ratio per pixel of the preset noise.
        oversample: Lattice points per (smallest) pixel.
        detector: Pixels of the reduced data (angstrom) where `wave` is not that, else None.
        correlation: Of the noise in neighbouring pixels of the reduced data.
        width: Pixel widths (angstrom) where pixels do not touch (arms, gaps), else None.
        exposure: What draws inverse variances (as `Noise.draw`) in place of `noise` and `snr`.
        residual: What sky subtraction leaves, 1 sigma in 1e-17 erg/s/cm2/A [pixels], or None for
            as much as the noise at the known lines of the airglow.
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


def _curve(wave, nodes, values):
    """Smooth positive curve through a few nodes."""
    return np.exp(np.interp(wave, nodes, np.log(values)))


def sdss() -> Instrument:
    """SDSS spectrograph: the survey's own lattice of 1e-4 in log10, 3700 to 9300 angstrom."""
    wave = 10 ** (1e-4 * np.arange(35683, 39685))
    lsf = np.interp(
        wave,
        [3780, 4050, 4650, 5340, 5900, 6000, 6570, 7050, 7550, 8090, 8670, 9200],
        [78.0, 75.0, 67.0, 59.0, 55.5, 68.0, 62.0, 57.5, 53.0, 50.0, 48.0, 47.0],
    )
    noise = _curve(
        wave,
        [3700, 3800, 3900, 4050, 4340, 5000, 5900, 6500, 7550, 8090, 8670, 9050, 9300],
        [8.0, 4.5, 3.0, 2.35, 2.1, 1.95, 1.8, 1.6, 1.54, 1.63, 2.0, 2.6, 3.6],
    )
    return Instrument("sdss", wave, lsf, noise, (0.5, 50.0))


def vandels() -> Instrument:
    """VLT/VIMOS, medium-resolution grism as in VANDELS (McLure+18): 4804 to 10295 angstrom.

    The resolution is a constant 11.5 angstrom (FWHM), R = 600 in the middle of the range. The
    released spectra have linear pixels with noise correlated by a fifth from one to the next.
    """
    wave = np.geomspace(4804, 10295, 1280)
    lsf = 11.5 / 2.3548 / wave * C_KMS
    noise = _curve(
        wave,
        [4804, 5000, 5300, 5800, 6800, 7800, 8300, 8800, 9300, 9730, 10295],
        [20.0, 3.0, 1.7, 1.12, 0.75, 0.95, 1.0, 1.05, 2.0, 2.3, 5.0],
    )
    reduced = 4803.807 + 5.005928 * np.arange(1099)
    return Instrument("vandels", wave, lsf, noise, (0.3, 15.0), 2, reduced, 0.2)


def muse() -> Instrument:
    """VLT/MUSE, wide field, nominal mode: 4750 to 9350 angstrom in air, 1.25 angstrom pixels.

    The resolving power rises from 1770 at 4800 angstrom to 3590 at 9300 (ESO, MUSE User Manual),
    here linearly. That of the manual includes the detector's pixels, as does a spectrum that was
    resampled from them; pixels here are uniform in ln(wavelength), of a width in between. Noise,
    and its correlation from one pixel of a cube to the next, are the medians of 15 spectra of the
    MUSE Hubble Ultra Deep Field (Bacon et al. 2023, A&A 670, A4).
    """
    reduced = air_to_vacuum(4750 + 1.25 * np.arange(3681))
    wave = np.geomspace(reduced[1], reduced[-2], 4096)
    lsf = C_KMS / 2.3548 / np.interp(wave, [4800, 9300], [1770, 3590])
    noise = _curve(
        wave,
        [4750, 4800, 4900, 5000, 5200, 5500, 6000, 6500, 7000, 8000, 8700, 9100, 9250, 9350],
        [2.3, 2.17, 1.97, 1.84, 1.68, 1.56, 1.48, 1.13, 0.98, 1.1, 1.25, 1.27, 1.4, 2.2],
    )
    return Instrument("muse", wave, lsf, noise, (0.3, 30.0), 2, reduced, 0.22)
