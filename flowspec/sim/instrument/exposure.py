"""Noise of a spectrograph by counting electrons: source, sky, dark current and read-out."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike


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


class Coadd(eqx.Module):
    """Coarser pixels as means of channels weighted by inverse variance.

    Args:
        wave: Centres of the channels in angstrom [channels].
        width: Their widths in angstrom [channels]; they must not overlap.
        edges: Of the pixels in angstrom [pixels + 1], around all the channels.
    """

    pixel: np.ndarray
    first: np.ndarray
    share: Float[Array, "taps pixels"]

    def __init__(self, wave: np.ndarray, width: np.ndarray, edges: np.ndarray):
        low, high = wave - width / 2, wave + width / 2
        self.pixel = np.clip(np.searchsorted(edges, wave) - 1, 0, len(edges) - 2)
        self.first = np.minimum(np.searchsorted(high, edges[:-1], "right"), len(wave) - 1)
        last = np.searchsorted(low, edges[1:])
        which = self.first + np.arange(max(1, (last - self.first).max()))[:, None]
        inside = which < len(wave)
        which = np.minimum(which, len(wave) - 1)
        shared = np.minimum(high[which], edges[1:]) - np.maximum(low[which], edges[:-1])
        shared = np.where(inside, np.maximum(shared, 0), 0)
        # a pixel of which the smaller part was observed is none
        shared *= shared.sum(0) >= 0.5 * np.diff(edges)
        self.share = jnp.asarray(shared / width[which], jnp.float32)

    def __call__(self, ivar: Float[Array, " channels"]) -> Float[Array, " pixels"]:
        """Inverse variance of the pixels: the sum of what falls into each."""
        which = jnp.minimum(self.first + np.arange(len(self.share))[:, None], len(ivar) - 1)
        return (self.share * ivar[which]).sum(0)

    def mean(
        self, values: Float[Array, " channels"], ivar: Float[Array, " channels"]
    ) -> Float[Array, " pixels"]:
        """Mean of `values` weighted by `ivar`, 0 where there is no data."""
        weight = self(ivar)
        return jnp.where(weight > 0, self(values * ivar) / jnp.maximum(weight, 1e-30), 0.0)


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
        if self.coadd is None:
            return self.channel_ivar(flux, hours, size)
        return self.coadd(self.channel_ivar(flux[self.coadd.pixel], hours, size))

    def channel_ivar(
        self, flux: Float[Array, " channels"], hours: ScalarLike, size: ScalarLike
    ) -> Float[Array, " channels"]:
        """As `ivar`, of the detector's channels."""
        seconds = 3600.0 * jnp.asarray(hours)
        gained = self.response * self._fraction(size) * seconds
        background = (self.sky + self.rows * self.dark) * seconds
        background += self.rows * self.read**2 * jnp.ceil(seconds / self.dit - 1e-3)
        return gained**2 / (gained * jnp.maximum(flux, 0) + self.background * background)

    def _fraction(self, size):
        last = len(self.sizes) - 1
        place = jnp.interp(size, self.sizes, jnp.arange(last + 1.0))
        i = jnp.clip(place.astype(int), 0, max(last - 1, 0))
        u = place - i
        return (1 - u) * self.fraction[i] + u * self.fraction[jnp.minimum(i + 1, last)]
