"""4MOST's instrument against what is published of it."""

import numpy as np

from flowspec.sim.instrument.fourmost import RANGE, fourmost
from flowspec.sim.instrument.lattice import C_KMS


def test_the_resolution_is_between_the_published_limits():
    """4000 to 7700 (de Jong et al. 2019), in each arm as 1 / wavelength of one width."""
    instrument = fourmost()
    power = C_KMS / instrument.lsf / np.sqrt(8 * np.log(2))
    assert abs(power.min() - 4000) < 10 and 7400 < power.max() < 7800
    wave = instrument.wave
    assert RANGE[0] <= wave[0] and wave[-1] <= RANGE[1]
    width = wave / power
    jumps = np.flatnonzero(np.abs(np.diff(width)) > 0.01)
    assert len(jumps) == 2 and np.allclose(np.diff(width)[np.abs(np.diff(width)) < 0.01], 0)
    np.testing.assert_allclose(np.diff(np.log10(wave)), 1e-4, rtol=1e-6)
