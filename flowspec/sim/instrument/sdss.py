"""The SDSS spectrograph (York et al. 2000), nearby galaxies."""

import numpy as np

from flowspec.prior.parameters import broad_prior
from flowspec.sim.instrument.instrument import Instrument, curve


def sdss() -> Instrument:
    """SDSS spectrograph: the survey's own lattice of 1e-4 in log10, 3700 to 9300 angstrom."""
    wave = 10 ** (1e-4 * np.arange(35683, 39685))
    lsf = np.interp(
        wave,
        [3780, 4050, 4650, 5340, 5900, 6000, 6570, 7050, 7550, 8090, 8670, 9200],
        [78.0, 75.0, 67.0, 59.0, 55.5, 68.0, 62.0, 57.5, 53.0, 50.0, 48.0, 47.0],
    )
    noise = curve(
        wave,
        [3700, 3800, 3900, 4050, 4340, 5000, 5900, 6500, 7550, 8090, 8670, 9050, 9300],
        [8.0, 4.5, 3.0, 2.35, 2.1, 1.95, 1.8, 1.6, 1.54, 1.63, 2.0, 2.6, 3.6],
    )
    return Instrument("sdss", wave, lsf, noise, (0.5, 50.0), prior=broad_prior())
