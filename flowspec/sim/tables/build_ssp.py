"""Build ssp.npz, the simple stellar populations (see README.md beside this file).

fastar has two models of stars: "spec", on observed MILES spectra, 3540 to 7410 angstrom, and
"phot", on theoretical BOSZ spectra, 2000 to 11,496 angstrom. Both take the same isochrones. They
are joined here into one spectrum, and BC03 is laid beneath where fastar has no (hot) stars.
"""

from functools import cache
from pathlib import Path

import h5py
import numpy as np
from scipy.interpolate import CubicSpline

LSUN_10PC = 3.828e33 / (4 * np.pi * (10 * 3.0856775814913673e18) ** 2)  # erg/s/cm2 of 1 L_sun
LOG_Z = np.array([-1.7, -1.2, -0.7, -0.4, -0.2, 0.0, 0.3])  # log10 Z/Z_sun
AGE_EDGES = np.concatenate([[0.0, 0.01, 0.03], np.geomspace(0.1, 14.0, 15)])  # Gyr
YOUNGEST = 0.03  # Gyr: below it, fastar's 30 Myr lines under the BC03 continuum
C_KMS = 299792.458
RESOLUTION = 64.0  # km/s: 2.51 A (FWHM) at 5000 A, 4.3 A at 8500 A
SPEC_FWHM = 2.51  # A, as stated; phot's, not stated, is 4.4 A (fitted to spec, see README.md)
BANDS = (  # A: where the level of fastar is compared with that of BC03
    (2050, 2300), (2300, 2800), (2800, 3300), (3560, 3760), (4000, 4500), (4500, 5000),
    (5300, 5700), (5900, 6150), (6300, 6700), (6750, 7050), (7200, 7400), (7700, 8100),
    (8100, 8450), (8700, 9200), (9500, 10200), (10200, 11300),
)  # fmt: skip
RED, RED_BLEND = (6900.0, 7400.0), (7100.0, 7400.0)  # A: spec's level; from spec to phot
BLUE, BLUE_BLEND = (3560.0, 3800.0), (3545.0, 3620.0)
FADE = (2400.0, 3300.0)  # A: from BC03's level to that of fastar, which has no hot old stars
# fastar's isochrones end where thermal pulses begin (Hidalgo et al. 2018); BC03 has those giants.
# At ages (log10 of Gyr) at which they matter, colours red of 7000 A take the mean of both.
PULSING = (np.log10([0.2, 0.4, 2.0, 5.0]), (0.0, 0.5, 0.5, 0.0))
PULSING_FROM = 7000.0  # A
REACH = (2010.0, 11480.0)  # A: lines of phot are used in it

# The Ca II triplet (vacuum A) of BOSZ grows with metallicity; of observed stars it does not above
# [M/H] = -0.5 (Vazdekis et al. 2003). What is left of its depth at three metallicities:
CALCIUM, CALCIUM_LEFT = (8500.36, 8544.44, 8664.52), ((-0.4, 0.0, 0.3), (1.0, 0.92, 0.82))
CALCIUM_CONTINUUM = ((8474, 8484), (8563, 8577), (8619, 8642), (8700, 8725), (8776, 8792))  # air


def air_to_vacuum(wave):
    """Vacuum wavelength [A] of an air wavelength [A] above 2000 A (Ciddor 1996 via VALD)."""
    s = (1e4 / wave) ** 2
    n = 1 + 8.336624212083e-5 + 2.408926869968e-2 / (130.1065924522 - s)
    return np.where(wave > 2000, wave * (n + 1.599740894897e-4 / (38.92568793293 - s)), wave)


def read_bc03(rubix):
    """BC03 low-resolution SSPs: wave [A], log10 age [yr], log10 Z/0.02, flux [Z, age, wave]."""
    with h5py.File(Path(rubix) / "spectra/ssp/templates/BC03lr.h5") as f:
        wave, age = f["wavelength"][:].astype(float), f["age"][:]
        return air_to_vacuum(wave), age, np.log10(f["metallicity"][:] / 0.02), f["flux"][:]


def bc03_at(bc03, age, log_z):
    """BC03 spectrum [wave] at an age [Gyr] and log Z/Z_sun, bilinear in the logarithms."""
    _, ages, zs, flux = bc03
    log_flux = np.log10(np.maximum(flux, 1e-30))
    a = np.clip(np.interp(np.log10(age * 1e9), ages, np.arange(len(ages))), 1, len(ages) - 1.001)
    z = np.clip(np.interp(log_z, zs, np.arange(len(zs))), 0, len(zs) - 1.001)
    (i, u), (j, v) = (int(a), a % 1), (int(z), z % 1)
    rows = [(1 - v) * log_flux[j, k] + v * log_flux[j + 1, k] for k in (i, i + 1)]
    return 10 ** ((1 - u) * rows[0] + u * rows[1])


def ssp_wave(bc03_wave, spec_wave):
    """The grid [A]: BC03 outside, 2 A in the ultraviolet, the pixels of spec, 1.6 A beyond."""
    end = spec_wave[-1] + 1.6
    inner = [np.arange(REACH[0] + 2, spec_wave[0], 2.0), spec_wave, np.arange(end, REACH[1], 1.6)]
    low, high = bc03_wave[bc03_wave < REACH[0]], bc03_wave[bc03_wave > REACH[1] + 5]
    return np.concatenate([low, *inner, high[high < 12000]])


def broadened(wave, flux, fwhm):
    """Flux [wave] of evenly spaced wavelengths, from `fwhm` [A] to `RESOLUTION` where finer."""
    step = wave[1] - wave[0]
    lacking = (RESOLUTION / C_KMS * wave) ** 2 - (fwhm / 2.3548) ** 2
    sigma = np.sqrt(np.maximum(lacking, (0.2 * step) ** 2))[:, None] / step
    offset = np.arange(-12, 13)
    kernel = np.exp(-0.5 * (offset / sigma) ** 2)
    around = np.clip(np.arange(len(wave))[:, None] + offset, 0, len(wave) - 1)
    return (flux[around] * kernel).sum(1) / kernel.sum(1)


def mean_ratio(a, b, band):
    """Natural log of the mean of `a` over that of `b`, pairs of wave and flux, in a band [A]."""
    fine = np.arange(*band, 1.0)
    return np.log(np.interp(fine, *a).mean() / np.interp(fine, *b).mean())


def fastar_lines(spec, phot, wave):
    """One spectrum [wave] of fastar's two, `spec` setting the level from 3560 to 11,480 A.

    Args:
        spec, phot: Vacuum wavelengths and flux.
        wave: Where the result is wanted, within 2000 to 11,496 A.
    """
    fine = broadened(spec[0], spec[1], SPEC_FWHM)
    far = CubicSpline(*phot)(wave)
    level = np.interp(
        wave,
        [np.mean(BLUE), np.mean(RED)],
        [mean_ratio(spec, phot, band) for band in (BLUE, RED)],
    )
    log_far = np.log(np.maximum(far, 1e-3 * np.median(far))) + level
    near = np.log(np.interp(wave, spec[0], fine))
    share = np.interp(wave, BLUE_BLEND, (0, 1)) * np.interp(wave, RED_BLEND, (1, 0))
    return np.exp(share * near + (1 - share) * log_far)


def weaker_calcium(wave, flux, log_z):
    """Flux with the Ca II triplet as deep as in observed stars, over the continuum of CaT*."""
    bands = [air_to_vacuum(np.array(band, float)) for band in CALCIUM_CONTINUUM]
    beside = np.any([(wave > lo) & (wave < hi) for lo, hi in bands], axis=0)
    level = np.polyval(np.polyfit(wave[beside] - 8600, flux[beside], 1), wave - 8600)
    near = np.max([np.exp(-(((wave - line) / 18) ** 4)) for line in CALCIUM], axis=0)
    left = 1 - near * (1 - np.interp(log_z, *CALCIUM_LEFT))
    return np.where(near > 1e-6, level * (flux / level) ** left, flux)


def joined_ssp(spec, phot, coarse, wave, age, log_z, now=None):
    """One SSP [wave], L_sun/A per M_sun formed: fastar's lines, on the level that is trusted.

    The two libraries differ by 5 to 30 % in a few broad bands. Below 0.1 Gyr BC03 sets the level in
    all of them, because fastar has few hot stars; above 1 Gyr fastar does, but for the ultraviolet
    and for giants that it lacks; in between they are mixed in the logarithm.

    Args:
        spec, phot, coarse: Vacuum wavelengths and flux of fastar's models and of BC03.
        wave: The grid of `ssp_wave`.
        age, log_z: Gyr, and log10 of metallicity over solar.
        now: BC03 flux at that age, where the three are of an older one.
    """
    inside = (wave > REACH[0]) & (wave < REACH[1])
    out = np.interp(wave, *coarse)
    rich = weaker_calcium(wave[inside], fastar_lines(spec, phot, wave[inside]), log_z)
    ratio = [mean_ratio((wave[inside], rich), coarse, band) for band in BANDS]
    trust = np.clip(np.log10(age / 0.1), 0, 1) * np.interp(wave, FADE, (0, 1))
    middle = np.mean(BANDS, axis=1)
    between = np.interp(wave, middle, ratio)
    redder = between - np.interp(PULSING_FROM, middle, ratio)
    share = np.interp(np.log10(age), *PULSING) * trust * (wave > PULSING_FROM)
    level = trust * between - share * redder  # ln of the level over that of BC03
    out = out * np.exp(level)
    out[inside] = rich * np.exp(level - between)[inside]
    return out if now is None else out * np.interp(wave, coarse[0], now / coarse[1])


def build_ssp(rubix, out, substeps=5):
    """Mean SSPs over each age bin (constant star formation inside a bin), every metallicity."""
    from fastar import IntegratedSSPSynthesizer
    from fastar.imf import chabrier

    models = [IntegratedSSPSynthesizer(label, imf_function=chabrier) for label in (None, "phot")]
    waves = [air_to_vacuum(np.asarray(m.wave, float)) for m in models]
    bc03 = read_bc03(rubix)

    @cache
    def parts(age, log_z):
        flux = [np.asarray(m.synthesize(age, log_z), float) / LSUN_10PC for m in models]
        return *zip(waves, flux, strict=True), (bc03[0], bc03_at(bc03, age, log_z))

    write_ssp(parts, bc03, waves[0], out, substeps)


def write_ssp(parts, bc03, spec_wave, out, substeps):
    """Save the populations that `parts` gives of an age and a metallicity."""
    wave = ssp_wave(bc03[0], spec_wave)
    flux = np.zeros((len(LOG_Z), len(AGE_EDGES) - 1, len(wave)))
    for i, log_z in enumerate(LOG_Z):
        for j, (lo, hi) in enumerate(zip(AGE_EDGES[:-1], AGE_EDGES[1:], strict=True)):
            for age in np.maximum(lo + (hi - lo) * (np.arange(substeps) + 0.5) / substeps, 1e-3):
                now = bc03_at(bc03, age, log_z) if age < YOUNGEST else None
                given = parts(max(age, YOUNGEST), log_z)
                flux[i, j] += joined_ssp(*given, wave, age, log_z, now) / substeps
    np.savez_compressed(
        Path(out) / "ssp.npz", wave=wave, flux=flux.astype(np.float32),
        age_edges=AGE_EDGES, log_z=LOG_Z,
    )  # fmt: skip
