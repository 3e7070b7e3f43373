"""DESI's instrument against a coadded spectrum of the survey."""

import numpy as np
from astropy.io import fits

import flowspec as fs
from flowspec.sim.instrument.desi import desi

FILE = "spectra/desi/coadd-4-80613-thru20210324.fits"


def test_the_resolution_is_that_of_the_resolution_matrices(data):
    """Columns of the matrix are images of one wavelength on pixels of 0.8 angstrom."""
    instrument = desi()
    with fits.open(data / FILE) as file:
        for arm, inside in (("B", (3700, 5700)), ("R", (5800, 7500)), ("Z", (7650, 9700))):
            image = file[f"{arm}_RESOLUTION"].data[0].astype(float)
            wave = file[f"{arm}_WAVELENGTH"].data
            pixel = np.arange(len(image))[:, None]
            total = image.sum(0)
            centre = (image * pixel).sum(0) / total
            sigma = 0.8 * np.sqrt((image * (pixel - centre) ** 2).sum(0) / total)
            used = (wave > inside[0]) & (wave < inside[1])
            found = np.median((sigma / wave * 299792.458 / np.interp(
                wave, instrument.wave, instrument.lsf))[used])  # fmt: skip
            assert abs(found - 1) < 0.05, arm


def test_the_noise_has_the_shape_of_the_survey(data):
    """Medians in windows of 200 angstrom, within 30 %: of one spectrum, with lines of the sky."""
    instrument = desi()
    obs = fs.read(str(data / FILE)).resample(instrument.wave)
    edges = np.arange(3700, 9800, 200)
    ratio = np.sqrt(obs.ivar[0]) * instrument.noise
    found = [np.median(ratio[(instrument.wave > low) & (instrument.wave < low + 200)])
             for low in edges]
    np.testing.assert_allclose(found / np.median(found), 1, atol=0.3)
