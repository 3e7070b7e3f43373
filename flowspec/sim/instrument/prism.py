"""NIRSpec on JWST behind its prism: everything from 0.6 to 5.3 micron at once."""

import numpy as np
import numpyro.distributions as dist
from jaxtyping import Float

from flowspec.prior.prior import Prior
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.lattice import C_KMS

# Widths of the pixels of reduced spectra in ln(wavelength), which are those of the detector over
# 1.8 at every wavelength (A), and a resolution element is 2.2 pixels of the detector.
_STEPS = np.array([
    [6000, 0.00427], [6500, 0.00491], [7000, 0.00553], [8000, 0.00677], [9000, 0.00779],
    [10000, 0.00852], [11000, 0.00893], [12000, 0.00903], [13000, 0.00888], [15000, 0.00810],
    [17500, 0.00681], [20000, 0.00562], [22500, 0.00463], [25000, 0.00382], [30000, 0.00269],
    [35000, 0.00199], [40000, 0.00152], [45000, 0.00119], [50000, 0.00096], [55000, 0.00079],
])  # fmt: skip
_NATIVE, _ELEMENT = 1.8, 2.2
_FIRST, _COUNT = 6025.5, 706
# Noise per pixel of these at some wavelengths (A) in units of that at 3 micron: of faint sources,
# and of ones that are bright over the sky and the detector
_NODES = (6100, 7000, 8000, 9000, 10000, 12000, 14000, 17000, 20000, 25000, 30000, 35000, 40000,
          45000, 48000, 50000, 52000, 53000, 54000)  # fmt: skip
_NOISE = (
    (30.0, 15.0, 9.7, 7.3, 5.7, 3.4, 2.7, 2.3, 1.9, 1.3, 1.0, 0.92, 1.0, 1.2, 1.4, 1.45, 1.7, 1.7,
     2.8),
    (18.0, 9.5, 6.3, 4.9, 3.9, 2.5, 2.15, 1.9, 1.6, 1.25, 1.0, 0.9, 1.0, 1.1, 1.2, 1.2, 1.4, 1.35,
     2.1),
    (10.8, 5.8, 3.9, 3.1, 2.5, 1.8, 1.6, 1.5, 1.3, 1.15, 1.0, 0.87, 0.9, 0.87, 0.86, 0.88, 1.0,
     0.95, 1.4),
)  # fmt: skip


def prism_prior() -> Prior:
    """Default prior of galaxies at every redshift from 0 to 14, of any mass, age and metallicity.

    A resolution of 30 to 300 tells nothing of velocity dispersions, which are held at their
    default. Attenuation goes on to what is found at these wavelengths only. The specific rate has
    no sequence to follow, so that quiescent galaxies and bursts are in it at every redshift; one of
    10^-7.9 per year makes up for all stars within 100 Myr.
    """
    return Prior(
        {
            "z": dist.Uniform(0.0, 14.0),
            "log_mstar": dist.Uniform(6.5, 12.0),
            "log_sfr": dist.Uniform(-12.5, -7.6),
            "log_age": dist.Uniform(-0.9, 1.13),
            "log_zstar": dist.Uniform(-1.7, 0.3),
            "av": dist.Uniform(0.0, 3.0),
            "log_u": dist.Uniform(-4.0, -2.0),
            "oh": dist.Uniform(7.06, 9.2),
        },
        relative={"log_sfr": "log_mstar"},
    )


def native_step(wave: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Width of the pixels of reduced spectra in ln(wavelength) at wavelengths in angstrom."""
    return np.exp(np.interp(np.log(wave), np.log(_STEPS[:, 0]), np.log(_STEPS[:, 1])))


def reduced_pixels() -> Float[np.ndarray, " pixels"]:
    """Pixels of the spectra that are released, in angstrom, to half a pixel."""
    fine = np.geomspace(_FIRST, 56000, 20001)
    per_pixel = np.log(fine[1] / fine[0]) / native_step(fine)
    number = np.concatenate([[0], np.cumsum(0.5 * (per_pixel[1:] + per_pixel[:-1]))])
    return np.interp(np.arange(_COUNT), number, fine)


def resolving_power(wave: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Wavelength over FWHM of a source that fills the slit, at wavelengths in angstrom."""
    return 1 / (_ELEMENT * _NATIVE * native_step(wave))


def prism() -> Instrument:
    """JWST/NIRSpec, prism: 0.605 to 5.3 micron, as the survey JADES and others release it.

    The resolving power of a source that fills the slit falls from 60 at 0.6 micron to 28 at 1.2 and
    rises to 300 at 5.3 micron: 2.2 pixels of the detector per resolution element (JWST User
    Documentation, NIRSpec Dispersers and Filters; Jakobsen et al. 2022, A&A 661, A80). A source
    smaller than the slit has up to twice that (de Graaff et al. 2024, A&A 684, A87): anything in
    between is drawn. Such a source may be off the middle of its slit, too, by which all wavelengths
    are wrong by up to a quarter of a pixel of the detector.

    Pixels are uniform in ln(wavelength) and hardly finer than those of the detector at 5.3 micron,
    where they are finest; so in the blue noise is the same over up to seven. Its shapes are medians
    of six spectra of JADES, and its correlation is theirs between pixels that are finer by 1.8 than
    those of the detector. No sky shines in lines.
    """
    wave = np.geomspace(6050, 53000, 1600)
    step = np.log(wave[1] / wave[0])
    lsf = C_KMS / np.sqrt(8 * np.log(2)) / (2 * resolving_power(wave))
    # per pixel of this lattice, wherever those of the data are of another width
    size = np.sqrt(np.minimum(native_step(wave) / step, 1.0))
    curves = [size * np.exp(np.interp(wave, _NODES, np.log(row))) for row in _NOISE]
    return Instrument(
        "prism", wave, lsf, np.array(curves), (0.5, 100.0), 3, reduced_pixels(), 0.45,
        residual=np.zeros(len(wave)), widest=2.0, zero=0.25 * _NATIVE * native_step(wave),
        prior=prism_prior(),
    )  # fmt: skip
