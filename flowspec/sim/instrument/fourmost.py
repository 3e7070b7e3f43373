"""The low-resolution spectrographs of 4MOST (de Jong et al. 2019, The Messenger 175, 3)."""

from dataclasses import replace

import numpy as np

from flowspec.data.lsf import lsf_of_power
from flowspec.sim.instrument.desi import desi
from flowspec.sim.instrument.instrument import Instrument

RANGE = (3700.0, 9500.0)  # angstrom
# First wavelength of each of the three arms in angstrom, where the one before is left, and the
# resolving power there: each has one width in angstrom, and all together 4000 to 7700.
_ARMS = ((3700.0, 4000.0), (5390.0, 5300.0), (7050.0, 5700.0))


def fourmost() -> Instrument:
    """4MOST's low-resolution arms coadded on the lattice of the SDSS, 3700 to 9500 angstrom.

    Pixels of 69 km/s are wider than its resolution in the red of every arm; redshifts lose nothing,
    dispersions below 40 km/s are lost. Noise has the shape that DESI's has, a fibre of similar
    size under a dark sky: the survey's exposure-time calculator is on no package index.
    """
    like = desi()
    inside = (like.wave >= RANGE[0]) & (like.wave <= RANGE[1])
    wave = like.wave[inside]
    arm = np.searchsorted([first for first, _ in _ARMS], wave, "right") - 1
    first, power = np.array(_ARMS)[arm].T
    lsf = lsf_of_power(power * wave / first)
    return replace(like, name="4most", wave=wave, lsf=lsf, noise=like.noise[inside])
