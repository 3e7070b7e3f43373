"""Mock galaxies: their kinds, how their sky differs from the simulator, and files of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec.io.sdss import write_sdss
from flowspec.prior.parameters import broad_prior
from flowspec.sim.curves import MISMATCH
from flowspec.sim.galaxy import mocks
from flowspec.sim.instrument.instrument import Instrument

WAVE = 10 ** (3.5683 + 4e-4 * np.arange(1000))  # as the SDSS has it, four times as coarse
MIDDLE = [0.1, 10.0, 0.0, 0.5, -0.2, 0.3, -3.0, 8.6, 120.0]


@pytest.fixture(scope="module")
def sim() -> fs.GalaxySimulator:
    pixels = np.full(len(WAVE), 90.0), np.ones(len(WAVE))
    coarse = Instrument("coarse", WAVE, *pixels, snr=(1.0, 30.0), prior=broad_prior())
    return fs.GalaxySimulator(coarse)


@eqx.filter_jit
def power(sim, theta, latent):
    """log10 of the lines' luminosities."""
    return jnp.log10(sim.line_power(sim.parameters(theta), sim.nuisances_of(latent, theta)))


def test_kinds_are_where_the_diagram_of_line_ratios_has_them(sim):
    """Star formation below the line of Kauffmann et al. (2003), nuclei above Kewley et al.'s."""
    names = "NII6583", "Halpha", "OIII5007", "Hbeta"
    for kind in ("star-forming", "starburst", "Seyfert 2"):
        theta = mocks.parameters(sim, [kind] * 8, np.random.default_rng(0))
        latent = np.zeros(sim.layout.size, np.float32)
        latent[sim.layout.place("nucleus")] = mocks.ACTIVE if "Sey" in kind else mocks.QUIET
        lines = np.array([power(sim, t, latent) for t in theta])
        nii, halpha, oiii, hbeta = (lines[:, sim.nebula.names.index(name)] for name in names)
        x, y = nii - halpha, oiii - hbeta
        if kind == "Seyfert 2":
            assert (y > 0.61 / (np.minimum(x, 0.46) - 0.47) + 1.19).all()
        else:
            assert (x < 0).all() and (y < 0.61 / (x - 0.05) + 1.3).all()


def test_the_sky_differs_by_what_is_stated(sim):
    """Nuisances as expected give stronger lines of the named ions and a bump of the continuum."""
    sky, theta = mocks.other_sky(sim), np.array(MIDDLE, np.float32)
    shift = np.asarray(sky.learned.mean)
    change = power(sim, theta, shift) - power(sim, theta, np.zeros_like(shift))
    for name, dex in zip(sim.nebula.names, np.asarray(change), strict=True):
        assert dex == pytest.approx(mocks.LINES.get(name.rstrip("0123456789"), 0.0), abs=1e-4)
    rise = shift[sim.layout.place("mismatch")] @ (MISMATCH * np.asarray(sim.sight["mismatch"]))
    expected = mocks.SEAM * np.exp(-0.5 * ((WAVE - mocks.SEAM_AT) / mocks.SEAM_WIDTH) ** 2)
    np.testing.assert_allclose(rise, expected, atol=0.05 * mocks.SEAM)
    assert sky.prior is sim.prior


def test_noise_is_larger_than_stated_and_correlated(sim):
    """By the stated factor, with the neighbours' correlation of the three taps."""
    sky = mocks.other_sky(sim)
    flux, ivar = jnp.zeros(len(WAVE)), jnp.full(len(WAVE), 4.0)
    noise = jax.jit(jax.vmap(lambda key: sky.add_noise(key, flux, ivar)))(jr.split(jr.key(0), 200))
    noise = np.asarray(noise)[:, 3:-3] * 2
    assert np.percentile(np.abs(noise), 68.27) == pytest.approx(mocks.NOISE, rel=0.02)
    usual = np.clip(noise, -6, 6)
    beside = (usual[:, 1:] * usual[:, :-1]).mean() / (usual**2).mean()
    side, middle, _ = mocks.TAPS
    assert beside == pytest.approx(2 * side * middle / (middle**2 + 2 * side**2), abs=0.01)


def test_broad_lines_have_their_equivalent_widths():
    wave = jnp.linspace(3500.0, 9500.0, 20_000)
    z, step = 0.1, float(wave[1] - wave[0])
    lines = mocks.broad_lines(wave, 3.0 * jnp.ones(len(wave)), jnp.float32(z))
    width = float(lines.sum() * step) / 3.0 / (1 + z)
    assert width == pytest.approx(sum(mocks.BROAD.values()), rel=0.01)


def test_mocks_are_of_all_kinds_in_turn_inside_the_prior(sim):
    mock = mocks.mock_galaxies(sim, 6, seed=1)
    assert mock.kind[:5] == list(mocks.KINDS) and mock.kind[5] == "passive"
    assert np.isfinite(np.asarray(sim.prior.log_prob(mock.theta))).all()
    assert (mock.obs.snr > 0.3 * mocks.SNR[0]).all() and (mock.obs.snr < 2 * mocks.SNR[1]).all()


def test_written_files_are_read_as_what_they_are(tmp_path):
    """Names, flux, errors and gaps come back, as of the survey's own files."""
    flux = np.random.default_rng(0).normal(5.0, 1.0, (2, len(WAVE)))
    ivar = np.full(flux.shape, 2.0)
    ivar[0, 10:20] = 0
    obs = fs.Spectra(WAVE, flux, ivar, ["spec-a", "spec-b"])
    back = fs.read(write_sdss(tmp_path / "new", obs), format="sdss")
    assert back.names == ("spec-a.fits", "spec-b.fits") and not any(back.notes)
    np.testing.assert_allclose(back.wave, WAVE, rtol=1e-9)
    np.testing.assert_array_equal(back.flux, obs.flux)
    np.testing.assert_array_equal(back.ivar, obs.ivar)


def test_a_simulator_with_other_noise_is_refused(sim):
    seen = sim.with_noise(fs.Spectra(WAVE, np.ones((1, len(WAVE))), np.ones((1, len(WAVE)))))
    with pytest.raises(ValueError, match="one curve of noise"):
        mocks.other_sky(seen)
