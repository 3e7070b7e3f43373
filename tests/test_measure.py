"""Emission lines measured in spectra: known fluxes, the simulator's, astropy's and a pipeline's."""

from functools import cache

import h5py
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from astropy.modeling import fitting, models
from scipy.special import ndtr

import flowspec as fs
from benchmarks import scores
from flowspec.data.line_names import parts
from flowspec.data.line_waves import WAVES
from flowspec.data.lsf import C_KMS
from flowspec.data.regrid import pixel_edges
from flowspec.sim.galaxy import dust
from flowspec.sim.instrument.shipped import instrument_of

SDSS = instrument_of("sdss")
WAVE, LSF = np.asarray(SDSS.wave, float), np.asarray(SDSS.lsf, float)
Z, VELOCITY, WIDTH = 0.05, 35.0, 75.0
STARS = {"z": Z, "log_mstar": 10.0, "log_sfr": 0.0, "log_age": 0.5, "log_zstar": -0.1, "av": 0.5,
         "log_u": -3.0, "oh": 8.6, "dispersion": 110.0}  # fmt: skip
TRUE = {
    "[OII]3726": 60.0, "[OII]3729": 80.0, "[NeIII]3869": 8.0, "[NeIII]3967": 2.4, "Hepsilon": 15.0,
    "Hdelta": 25.0, "Hgamma": 45.0, "Hbeta": 100.0, "[OIII]4959": 60 / 2.98, "[OIII]5007": 60.0,
    "HeI5876": 10.0, "[OI]6300": 9.0, "[OI]6364": 9 / 3.1, "[NII]6548": 120 / 3.05,
    "[NII]6584": 120.0, "Halpha": 350.0, "[SII]6717": 60.0, "[SII]6731": 45.0,
}  # fmt: skip


def emission(fluxes, wave=WAVE) -> np.ndarray:
    """Gaussian lines, integrated over pixels."""
    edges, total = pixel_edges(wave), np.zeros(len(wave))
    for line, flux in fluxes.items():
        centre = WAVES[line] * (1 + Z) * (1 + VELOCITY / C_KMS)
        scale = centre * np.hypot(WIDTH, np.interp(centre, wave, LSF)) / C_KMS
        total += flux * np.diff(ndtr((edges - centre) / scale)) / np.diff(edges)
    return total


@cache
def starlight() -> np.ndarray:
    """A star-forming galaxy of the simulator without its gas, of unit median."""
    sim = fs.GalaxySimulator("sdss", nuisances=())
    theta = jnp.array([STARS[name] for name in sim.prior.names])
    stars = np.asarray(sim.parts(theta, jnp.zeros(0))["stars"], float)
    return stars / np.median(stars)


def noisy(fluxes, rows: int, sigma: float = 0.75) -> fs.Spectra:
    """Lines on starlight of 15, with white noise."""
    flux = 15 * starlight() + emission(fluxes)
    noise = sigma * np.random.default_rng(0).normal(size=(rows, len(WAVE)))
    return fs.Spectra(WAVE, flux + noise, np.full(noise.shape, sigma**-2.0), lsf=LSF[None])


@pytest.mark.parametrize("share", [pytest.param(1.0, marks=pytest.mark.slow), 0.02])
def test_pulls_of_known_fluxes_are_standard_normal(share):
    """Bright, and with no line above 5 sigma, where velocity and width are hardly known."""
    rows = 100
    found = fs.measure_lines(noisy({k: share * v for k, v in TRUE.items()}, rows), Z)
    true = np.array([share * sum(TRUE.get(p, 0.0) for p in parts(n)) for n in found.lines])
    seen = (found.state == 1).all(0)
    pulls = ((found.flux - true) / found.err)[:, seen]
    assert {"[OII]3726,3729", "Halpha", "[NII]6584", "[SII]6731"} <= set(found.lines)
    assert np.abs(pulls.mean(0)).max() < 4 / np.sqrt(rows)  # four standard errors
    # a standard deviation from so many has an error of 7 %, and there are 40 lines: 3.3 of them
    assert np.abs(pulls.std(0) - 1).max() < 0.26 and abs(pulls.std() - 1) < 0.1
    if share == 1:
        assert abs(np.mean(found.extra["gas_velocity"]) - VELOCITY) < 1
        assert abs(np.mean(found.extra["gas_dispersion"]) - WIDTH) < 1


def test_a_blend_is_that_of_astropy():
    """Joint fit of [N II] and H-alpha by its Levenberg-Marquardt, velocity and width tied."""
    obs = noisy(TRUE, 1)
    found = fs.measure_lines(obs, Z)
    near = np.abs(WAVE / (6565 * (1 + Z)) - 1) < 0.008
    names = ("Halpha", "[NII]6548", "[NII]6584")
    waves = [WAVES[n] * (1 + Z) for n in names]
    stars = 15 * starlight()[near]
    model = models.Const1D(0.0)
    for wave in waves:
        model = model + models.Gaussian1D(20.0, wave, wave * 90 / C_KMS)
    for i, wave in enumerate(waves[1:], start=2):
        getattr(model, f"mean_{i}").tied = lambda m, w=wave: m.mean_1 * w / waves[0]
        getattr(model, f"stddev_{i}").tied = lambda m, w=wave: m.stddev_1 * w / waves[0]
    model.amplitude_2.tied = lambda m: m.amplitude_3 / 3.05 * waves[2] / waves[1]
    fit = fitting.TRFLSQFitter()(model, WAVE[near], obs.flux[0, near] - stars,
                                 weights=np.full(near.sum(), 1 / 0.75))  # fmt: skip
    for i, name in ((1, "Halpha"), (3, "[NII]6584")):
        flux = np.sqrt(2 * np.pi) * getattr(fit, f"amplitude_{i}") * getattr(fit, f"stddev_{i}")
        k = found.lines.index(name)
        # astropy is told the stars, but has velocity, width and continuum of this window alone
        assert abs(found.flux[0, k] - flux) < 2 * found.err[0, k]


def test_balmer_lines_lie_on_stellar_absorption():
    """Of galaxies of the simulator: without stars H-beta would be low by 1 to 5 angstrom."""
    sim = fs.GalaxySimulator("sdss", nuisances=())
    theta = sim.prior.sample(jr.key(1), (60,))
    z = np.asarray(theta[:, sim.prior.names.index("z")], float)
    theta, z = theta[z < 0.3], z[z < 0.3]
    flux = np.asarray(jax.vmap(lambda t: sim.spectrum_of(t, jnp.zeros(0)))(theta), float)
    level = np.median(flux, 1)
    noise = np.random.default_rng(1).normal(size=flux.shape) / 20
    obs = fs.Spectra(sim.wave, flux / level[:, None] + noise, np.full(flux.shape, 400.0),
                     lsf=LSF[None])  # fmt: skip
    found = fs.measure_lines(obs, z)
    for line, name in (("Hbeta", "Hbeta"), ("Halpha", "Halpha"), ("[OIII]5007", "OIII5007")):
        true = np.array([_power(sim, t, name) for t in theta]) / level
        k = found.lines.index(line)
        seen = found.state[:, k] == 1
        pull = ((found.flux[:, k] - true) / found.err[:, k])[seen]
        strong = seen & (true > 10 * found.err[:, k])
        assert strong.sum() > 5
        assert abs(np.median(found.flux[strong, k] / true[strong]) - 1) < 0.025
        assert abs(np.median(pull)) < 0.5 and 0.7 < np.std(pull) < 1.5


def _power(sim, theta, name) -> float:
    p, draw = sim.parameters(theta), sim.nuisances_of(jnp.zeros(0), theta)
    one = sim.nebula.names.index(name)
    dim = dust.transmission(jnp.asarray(sim.nebula.wave[[one]]), p["av"], draw.slope)[0]
    return float(sim.flux_scale(p) * sim.line_power(p, draw)[one] * dim)


def test_rows_keep_what_belongs_to_them():
    obs = noisy(TRUE, 3)
    ivar = obs.ivar.copy()
    ivar[1] = 0
    at = WAVES["[NII]6584"] * (1 + Z)
    ivar[2, np.abs(WAVE - at) < 8] = 0
    obs = fs.Spectra(WAVE, obs.flux, ivar, names=["a", "b", "c"], extra={"x": [4, 5, 6]},
                     lsf=LSF[None])  # fmt: skip
    found = fs.measure_lines(obs, [Z, Z, Z])
    assert found.names == obs.names and list(found.extra["x"]) == [4, 5, 6]
    assert found.notes[1] == obs.notes[1] and not found.usable[1]
    strong, weak = (found.lines.index(n) for n in ("[NII]6584", "[NII]6548"))
    assert list(found.state[:, strong]) == [1, 0, 0]
    assert list(found.state[:, weak]) == [0, 0, 1]  # a pair is one flux, given as one line
    unknown = fs.measure_lines(obs[[0, 2]], [np.nan, Z])
    assert unknown.notes[0] == "no redshift" and unknown.usable[1]
    both = fs.measure_lines(obs[:1], Z, ["[OIII]4959", "[OIII]5007", "[SII]6717,6731"])
    assert both.lines == ("[OIII]4959", "[OIII]5007", "[SII]6717,6731")
    np.testing.assert_allclose(both.flux[0, 1] / both.flux[0, 0], 2.98, rtol=1e-6)
    with pytest.raises(ValueError, match="expected one redshift"):
        fs.measure_lines(obs, [Z, Z])
    with pytest.raises(ValueError, match="emission line"):
        fs.measure_lines(obs, Z, ["nonsense"])


def test_two_calls_to_posteriors_of_nebulae():
    table = fs.load("nebula").summarize(fs.measure_lines(noisy(TRUE, 2), Z), n=50)
    assert np.isfinite(np.asarray(table["oh_p50"], float)).all()


def test_real_lines_are_those_of_the_pipeline(data):
    """Of the half that is looked at, where H-alpha is over 40 angstrom: the pipeline does not add
    what stars absorb, 1 to 2 angstrom."""
    path = data / "spectra/sdss/sdss.h5"
    with h5py.File(path) as f:
        kind, z = f["catalog/cls"][:], f["catalog/z"][:].astype(float)
        names = [n.decode() for n in f["catalog/file"][:]]
        labels = [n.decode() for n in f["lines/name"][:]]
        flux, err = f["lines/flux"][:].astype(float), f["lines/flux_err"][:].astype(float)
        width = np.abs(f["lines/ew"][:, labels.index("H_alpha")])
    good = (np.char.strip(kind) == b"GALAXY") & ~scores.report_half(names) & (width > 40)
    rows = np.flatnonzero(good)[:80]
    found = fs.measure_lines(fs.read(path)[rows], z[rows])
    pairs = {"Halpha": "H_alpha", "[OIII]5007": "[O_III] 5007", "[NII]6584": "[N_II] 6583"}
    for line, label in pairs.items():
        k, j = found.lines.index(line), labels.index(label)
        theirs, error = flux[rows, j], err[rows, j]
        strong = (error > 0) & (theirs > 10 * error) & (found.state[:, k] == 1)
        assert strong.sum() > 20
        assert abs(np.median(found.flux[strong, k] / theirs[strong]) - 1) < 0.05
