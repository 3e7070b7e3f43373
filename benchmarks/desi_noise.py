"""Noise of DESI's main survey, for an effective exposure time.

The survey observes until a depth is reached, not for a time: 1000 s in dark and 180 s in bright
conditions are the times that would have reached it at the zenith, under a dark sky, in seeing of
1.1 arcsec and without dust of the Milky Way (Guy et al. 2023, AJ 165, 144; Schlafly et al. 2023,
AJ 166, 259). The pipeline tells it of each spectrum: 12.15 s x TSNR2_LRG (Guy et al.). Here the
shape is that of `flowspec.sim.instrument.desi`, raised at the airglow of a model of the sky where
there is one, and the level is that of a coadd of tile 169, of 1001 s. By counting photons of the
nominal sky through the telescope it is the same to 10 % (tests/test_survey_desi.py).
"""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.ndimage import gaussian_filter1d, median_filter

from flowspec.sim.instrument.desi import desi
from flowspec.sim.instrument.instrument import Instrument, curve
from flowspec.sim.instrument.moons import FIBRE, PHOTON, load_channels

DARK, BRIGHT = 1000.0, 180.0  # effective seconds of a main-survey target
# 1e-17 erg/s/cm2 per root of an angstrom in 1000 s, where the shape is 1: the median over tile 169.
LEVEL = 0.111
MIRROR = 8.659e4  # cm2 that collect light (desimodel, desi.yaml)
POINT = 0.56  # share of a point source's light that enters a fibre in nominal seeing
# Of atmosphere, telescope, fibre and spectrograph together, as Guy et al. 2023 have it (roughly,
# from memory).
THROUGHPUT = np.array([
    [3600, 0.05], [4000, 0.17], [4500, 0.26], [5000, 0.32], [5700, 0.36], [6400, 0.42],
    [7000, 0.45], [8500, 0.47], [9300, 0.42], [9824, 0.30],
])  # fmt: skip
# Background that is no airglow beyond the model's, 1e-17 erg/s/cm2/A/arcsec2: what fits lines of
# the sky in the noise of the coadds.
_OTHER = 0.4
_SMOOTH = 601  # pixels of a median without airglow


class SurveyNoise(eqx.Module):
    """Inverse variance of a flux-calibrated spectrum: sky, read-out and the source's own photons.

    Variances go inversely with the effective time, as that is defined.

    Args:
        seconds: Effective exposure time.
    """

    variance: Float[Array, " pixels"]
    electrons: Float[Array, " pixels"]

    def __init__(self, seconds: float):
        wave = desi().wave
        dark = dark_variance(wave, desi().noise) * DARK / seconds
        self.variance = jnp.asarray(dark, jnp.float32)
        self.electrons = jnp.asarray(POINT * seconds * response(wave), jnp.float32)

    def draw(self, key: PRNGKeyArray, flux: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        """Inverse variance for a noiseless spectrum in 1e-17 erg/s/cm2/A; nothing is random.

        Args:
            key: Unused.
            flux: As the survey calibrates it: that of a point source with as much in the fibre.
        """
        del key
        return 1 / (self.variance + jnp.maximum(flux, 0.0) / self.electrons)


def survey(seconds: float) -> Instrument:
    """DESI with the noise of one effective exposure time."""
    return replace(desi(), exposure=SurveyNoise(seconds))


def response(wave: Float[np.ndarray, " pixels"]) -> Float[np.ndarray, " pixels"]:
    """Electrons per second and pixel from 1e-17 erg/s/cm2/A, all of it in the fibre."""
    return PHOTON * wave * MIRROR * curve(wave, *THROUGHPUT.T) * pixel(wave)


def dark_variance(
    wave: Float[np.ndarray, " pixels"], shape: Float[np.ndarray, " pixels"]
) -> Float[np.ndarray, " pixels"]:
    """Variance of a pixel in 1000 s of dark time without a source, (1e-17 erg/s/cm2/A)^2.

    Args:
        wave: Centres of the pixels in angstrom.
        shape: Of the noise per pixel without airglow, as `flowspec.sim.instrument.desi` has it.
    """
    per_angstrom = (LEVEL * shape) ** 2 * wave
    return per_angstrom / pixel(wave) * airglow(wave)


def pixel(wave: Float[np.ndarray, " pixels"]) -> Float[np.ndarray, " pixels"]:
    """Widths of pixels in angstrom, 1e-4 in log10."""
    return wave * np.log(10) * 1e-4


def airglow(wave: Float[np.ndarray, " pixels"]) -> Float[np.ndarray, " pixels"]:
    """Background over that between the lines of the sky; 1 blue of 6480 angstrom.

    ESO's sky model as `flowspec.sim.instrument.moons` has it, seen at about DESI's resolution.
    """
    channels = load_channels(1.0)
    seen = (channels.wave < wave[-1] + 10) & (channels.response > 0)
    light = channels.sky[seen] / channels.response[seen] / (np.pi / 4 * FIBRE**2)
    sky = gaussian_filter1d(np.interp(wave, channels.wave[seen], light), 1.0) + _OTHER
    ratio = sky / median_filter(sky, _SMOOTH, mode="nearest")
    return np.where(wave > channels.wave[0] + 10, ratio, 1.0)
