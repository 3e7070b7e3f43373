"""MOONS at the VLT, low-resolution mode: its channels, and noise from photons and electrons.

Cirasuolo et al. (2020, The Messenger 180, 10). Numbers of the instrument and the sky are those of
the package moons1d (tables/README.md): three arms of constant resolution element in wavelength,
sampled by 2.7 pixels, 12,217 channels in all, with nothing between 1.35 and 1.452 micron.
"""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from flowspec.sim.fibre import fibre_fraction
from flowspec.sim.instrument import Instrument
from flowspec.sim.lattice import C_KMS

TABLE = Path(__file__).parent / "tables" / "moons.npz"
FIBRE = 1.1  # arcsec, diameter on the sky
AREA = np.pi / 4 * 820.0**2  # cm2, what the throughput of the telescope refers to
PHOTON = 1e-17 / 1.986445857e-8  # photons per angstrom of wavelength in 1e-17 erg
OPAQUE = 0.05  # transmission of the atmosphere below which there is no calibration, so no data
# Cross beam-switching leaves 0.6 % of the sky (Yang et al. 2013, The Messenger 151, 7).
RESIDUAL = 0.006


class Channels(eqx.Module):
    """The detector's channels under one sky.

    Attributes:
        wave: Centres in vacuum angstrom [channels].
        width: Widths in angstrom [channels].
        lsf: Gaussian sigma of the line-spread function in km/s, without the pixel [channels].
        response: Electrons per second from 1e-17 erg/s/cm2/A above the atmosphere that all enter
            the fibre, 0 where the atmosphere is opaque [channels].
        sky: Electrons per second from the sky in the fibre [channels].
        dark: Electrons per second and detector pixel [channels].
        read: Electrons (rms) per read-out and detector pixel [channels].
    """

    wave: np.ndarray
    width: np.ndarray
    lsf: np.ndarray
    response: np.ndarray
    sky: np.ndarray
    dark: np.ndarray
    read: np.ndarray


def load_channels(airmass: float = 1.2) -> Channels:
    """The channels of the three arms under the sky of one airmass.

    Raises:
        ValueError: If the airmass is not between 1 and 2.
    """
    with np.load(TABLE, allow_pickle=False) as file:
        t = dict(file)
    if not t["airmass"][0] <= airmass <= t["airmass"][-1]:
        raise ValueError(f"expected an airmass between 1 and 2; got {airmass}")
    arm = np.repeat(np.arange(len(t["size"])), t["size"])
    count = np.concatenate([np.arange(n) for n in t["size"]])
    width = t["width"][arm]
    wave = t["first"][arm] + width * count
    clear = _between(airmass, t["airmass"], t["transmission"] / 65535)
    emission = 10 ** _between(airmass, t["airmass"], t["log_sky"] / 4096)
    electrons = t["efficiency"].astype(float) * AREA * width
    return Channels(
        wave=wave,
        width=width,
        lsf=t["fwhm"][arm] / 2.3548 / wave * C_KMS,
        response=electrons * PHOTON * wave * np.where(clear > OPAQUE, clear, 0.0),
        sky=electrons * emission * np.pi / 4 * FIBRE**2,
        dark=t["dark"][arm],
        read=t["read"][arm],
    )


def _between(x, nodes, rows):
    """Linear interpolation between rows."""
    i = int(np.clip(np.searchsorted(nodes, x) - 1, 0, len(nodes) - 2))
    u = (x - nodes[i]) / (nodes[i + 1] - nodes[i])
    return (1 - u) * rows[i] + u * rows[i + 1]


class Coadd(eqx.Module):
    """Coarser pixels as means of channels weighted by inverse variance.

    Args:
        channels: Centres and widths in angstrom [2, channels], not overlapping.
        pixels: Edges in angstrom [pixels + 1], covering all the channels.
    """

    pixel: np.ndarray
    first: np.ndarray
    share: Float[Array, "taps pixels"]

    def __init__(self, channels: np.ndarray, pixels: np.ndarray):
        wave, width = channels
        low, high = wave - width / 2, wave + width / 2
        self.pixel = np.clip(np.searchsorted(pixels, wave) - 1, 0, len(pixels) - 2)
        self.first = np.minimum(np.searchsorted(high, pixels[:-1], "right"), len(wave) - 1)
        last = np.searchsorted(low, pixels[1:])
        which = self.first + np.arange(max(1, (last - self.first).max()))[:, None]
        inside = which < len(wave)
        which = np.minimum(which, len(wave) - 1)
        shared = np.minimum(high[which], pixels[1:]) - np.maximum(low[which], pixels[:-1])
        shared = np.where(inside, np.maximum(shared, 0), 0)
        # a pixel of which the smaller part was observed is none
        shared *= shared.sum(0) >= 0.5 * np.diff(pixels)
        self.share = jnp.asarray(shared / width[which], jnp.float32)

    def __call__(self, ivar: Float[Array, " channels"]) -> Float[Array, " pixels"]:
        """Inverse variance of the pixels: the sum of what falls into each."""
        which = jnp.minimum(self.first + np.arange(len(self.share))[:, None], len(ivar) - 1)
        return (self.share * ivar[which]).sum(0)


class ExposureNoise(eqx.Module):
    """Inverse variance of sky-subtracted, flux-calibrated spectra by counting electrons.

    Args:
        channels: The detector under its sky.
        fraction: Share of the light that enters the fibre, by size [sizes, channels].
        sizes: Half-light radii of these rows in arcsec, increasing.
        hours: Exposure times to draw from, each as likely.
        dit: Seconds of one exposure.
        background: Variance of the subtracted background over that of one exposure's: 2 where
            the sky was measured once as long (beam switching), 1 where it is known.
        rows: Detector pixels across the trace that one channel sums.
        coadd: Coarser pixels of the spectrum, or None where they are the channels.
    """

    response: Float[Array, " channels"]
    sky: Float[Array, " channels"]
    dark: Float[Array, " channels"]
    read: Float[Array, " channels"]
    fraction: Float[Array, "sizes channels"]
    sizes: Float[Array, " sizes"]
    hours: tuple[float, ...] = eqx.field(static=True)
    dit: float = eqx.field(static=True)
    background: float = eqx.field(static=True)
    rows: float = eqx.field(static=True)
    coadd: Coadd | None

    def __init__(
        self,
        channels: Channels,
        fraction: np.ndarray,
        sizes: np.ndarray,
        *,
        hours: tuple[float, ...] = (2.0, 4.0, 8.0),
        dit: float = 600.0,
        background: float = 2.0,
        rows: float = 1.0,
        coadd: Coadd | None = None,
    ):
        for name in ("response", "sky", "dark", "read"):
            setattr(self, name, jnp.asarray(getattr(channels, name), jnp.float32))
        self.fraction = jnp.asarray(fraction, jnp.float32)
        self.sizes = jnp.asarray(sizes, jnp.float32)
        self.hours, self.dit = tuple(float(h) for h in hours), dit
        self.background, self.rows, self.coadd = background, rows, coadd

    def draw(self, key: PRNGKeyArray, flux: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        """Inverse variance for one noiseless spectrum, exposure time and size drawn.

        Sizes are log-uniform between the smallest and the largest.
        """
        time, size = jr.split(key)
        hours = jr.choice(time, jnp.array(self.hours))
        ends = jnp.log(jnp.maximum(self.sizes, 1e-3))
        size = jnp.exp(jr.uniform(size, minval=ends[0], maxval=ends[-1]))
        return self.ivar(flux, hours, size)

    def ivar(
        self, flux: Float[Array, " pixels"], hours: ScalarLike, size: ScalarLike
    ) -> Float[Array, " pixels"]:
        """Inverse variance of one noiseless spectrum.

        Args:
            flux: Above the atmosphere, of the whole galaxy, 1e-17 erg/s/cm2/A.
            hours: Exposure time on the source.
            size: Half-light radius in arcsec, within `sizes`.
        """
        flux = flux if self.coadd is None else flux[self.coadd.pixel]
        seconds = 3600.0 * jnp.asarray(hours)
        gained = self.response * self._fraction(size)
        background = (self.sky + self.rows * self.dark) * seconds
        background += self.rows * self.read**2 * jnp.ceil(seconds / self.dit - 1e-3)
        variance = gained * jnp.maximum(flux, 0) * seconds + self.background * background
        ivar = (gained * seconds) ** 2 / variance
        return ivar if self.coadd is None else self.coadd(ivar)

    def _fraction(self, size):
        last = len(self.sizes) - 1
        place = jnp.interp(size, self.sizes, jnp.arange(last + 1.0))
        i = jnp.clip(place.astype(int), 0, max(last - 1, 0))
        u = place - i
        return (1 - u) * self.fraction[i] + u * self.fraction[jnp.minimum(i + 1, last)]


def moons(
    rebin: float = 0,
    *,
    hours: tuple[float, ...] = (2.0, 4.0, 8.0),
    seeing: float = 0.8,
    airmass: float = 1.2,
    size: tuple[float, float] = (0.15, 0.6),
    background: float = 2.0,
) -> Instrument:
    """MOONS, low resolution, with the noise of beam-switched exposures of 600 s.

    Args:
        rebin: 0 for the 12,217 channels. Else pixels uniform in ln(wavelength) over the whole
            range, so many times wider than the mean channel, without data in the gap.
        hours: Exposure times on the source to draw from.
        seeing: FWHM at 5000 A and the zenith in arcsec.
        airmass: 1 to 2.
        size: Smallest and largest half-light radius in arcsec; the default is that of most
            galaxies of redshift 1 to 3 (van der Wel et al. 2014).
        background: As in `ExposureNoise`.
    """
    channels = load_channels(airmass)
    sizes = np.geomspace(max(size[0], 1e-3), size[1], 9) if size[1] > size[0] else np.array(size[:1])
    nodes = np.linspace(channels.wave[0], channels.wave[-1], 40)
    loss = [fibre_fraction(nodes, float(s), seeing=seeing, airmass=airmass) for s in sizes]
    fraction = np.stack([np.interp(channels.wave, nodes, f) for f in loss])
    wave, width, coadd = channels.wave, channels.width, None
