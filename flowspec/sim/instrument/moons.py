"""MOONS at the VLT, low-resolution mode: its channels, its sky and its noise.

Cirasuolo et al. (2020, The Messenger 180, 10). Numbers of the instrument and the sky are those of
the package moons1d (tables/README.md): three arms of constant resolution element in wavelength,
sampled by 2.7 pixels, 12,217 channels in all, with nothing between 1.35 and 1.452 micron.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from flowspec.prior.galaxies import moons_prior
from flowspec.sim.instrument.exposure import Channels, Coadd, ExposureNoise
from flowspec.sim.instrument.fibre import fibre_fraction
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.lattice import C_KMS

TABLE = Path(__file__).parents[1] / "tables" / "moons.npz"
FIBRE = 1.1  # arcsec, diameter on the sky
AREA = np.pi / 4 * 820.0**2  # cm2, what the throughput of the telescope refers to
PHOTON = 1e-17 / 1.986445857e-8  # photons per angstrom of wavelength in 1e-17 erg
OPAQUE = 0.05  # transmission of the atmosphere below which there is no calibration, so no data
# Cross beam-switching leaves 0.6 % of the sky (Yang et al. 2013, The Messenger 151, 7).
RESIDUAL = 0.006


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


def moons(
    rebin: int = 0,
    *,
    hours: tuple[float, ...] = (2.0, 4.0, 8.0),
    dit: float = 600.0,
    seeing: float = 0.8,
    airmass: float = 1.2,
    size: tuple[float, float] = (0.15, 0.6),
    background: float = 2.0,
    rows: float = 1.0,
    residual: float = RESIDUAL,
) -> Instrument:
    """MOONS, low resolution, with the noise of beam-switched exposures (`ExposureNoise`).

    Args:
        rebin: 0 for the 12,217 channels. Else pixels uniform in ln(wavelength) over the whole
            range, so many times wider than the mean channel, without data in the gap.
        hours: Exposure times on the source to draw from.
        dit: Seconds of one exposure.
        seeing: FWHM at 5000 A and the zenith in arcsec.
        airmass: 1 to 2.
        size: Smallest and largest half-light radius in arcsec, drawn log-uniformly; the default
            is that of most galaxies of redshift 1 to 3 (van der Wel et al. 2014, ApJ 788, 28);
            ``(0, 0)`` for a point source.
        background: Variance of the subtracted sky over that of one exposure's.
        rows: Detector pixels across the trace.
        residual: Share of the sky that its subtraction leaves, 1 sigma.

    Raises:
        ValueError: On an airmass, size or exposure time that is out of range.
    """
    if not (0 < size[0] <= size[1] or size[0] == size[1] == 0):
        raise ValueError(f"expected sizes 0 < smallest <= largest, or (0, 0); got {size}")
    if not hours or min(hours) <= 0 or dit <= 0 or rebin < 0:
        got = f"{hours}, {dit} and {rebin}"
        raise ValueError(f"expected positive hours and dit and rebin >= 0; got {got}")
    channels = load_channels(airmass)
    sizes = np.geomspace(*size, 9) if size[1] > size[0] else np.array(size[:1], float)
    fractions = _fractions(channels.wave, sizes, seeing, airmass)
    edges = _edges(channels, rebin) if rebin else None
    coadd = Coadd(channels.wave, channels.width, edges) if rebin else None
    noise = ExposureNoise(
        channels, fractions, sizes,
        hours=hours, dit=dit, background=background, rows=rows, coadd=coadd,
    )  # fmt: skip
    middle, typical = len(sizes) // 2, (float(np.median(hours)), float(sizes[len(sizes) // 2]))
    ivar = noise.channel_ivar(jnp.zeros(len(channels.wave)), *typical)
    gained = np.where(channels.response > 0, channels.response * fractions[middle], np.inf)
    left = residual * channels.sky / gained
    wave, width, lsf = channels.wave, channels.width, channels.lsf
    if coadd is not None:
        wave, width = np.sqrt(edges[1:] * edges[:-1]), np.diff(edges)
        lsf = np.interp(wave, channels.wave, lsf)
        left, ivar = coadd.mean(jnp.asarray(left), ivar), coadd(ivar)
    left, ivar = np.asarray(left), np.asarray(ivar)
    sigma = np.where(ivar > 0, np.maximum(ivar, 1e-30) ** -0.5, np.inf)
    return Instrument(
        "moons", wave, lsf, sigma, (0.1, 10.0), 3 if rebin else 2,
        width=width, exposure=noise, residual=left, prior=moons_prior(),
    )  # fmt: skip


def _fractions(wave, sizes, seeing, airmass):
    """Share of the light in the fibre [sizes, wave], which is smooth in wavelength."""
    nodes = np.linspace(wave[0], wave[-1], 40)
    rows = [fibre_fraction(nodes, r, seeing=seeing, airmass=airmass) for r in sizes.tolist()]
    return np.stack([np.interp(wave, nodes, row) for row in rows])


def _edges(channels, rebin):
    """Edges of pixels uniform in ln(wavelength), `rebin` times as wide as the mean channel."""
    low, high = channels.wave - channels.width / 2, channels.wave + channels.width / 2
    step = rebin * np.log(high / low).mean()
    count = int(np.ceil(np.log(high[-1] / low[0]) / step))
    return low[0] * np.exp(step * np.arange(count + 1))
