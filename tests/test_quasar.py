"""Spectra of quasars against the published composite they are made of, and closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec import QuasarSimulator, read
from flowspec.sim.galaxy.igm import Opacity
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.quasar import lines, reddening
from flowspec.sim.quasar.nuisance import NUISANCES
from flowspec.sim.quasar.prior import quasar_prior
from tests.quasars import draw_of

SPECTRUM = eqx.filter_jit(lambda sim, theta, latent: sim.spectrum_of(theta, latent))
USUAL = {"z": 0.02, "mag": 19.0, "slope": -0.44, "log_fwhm": 3.65, "ebv": 0.0}


def simulator(low, high, pixels, z, nuisances=()):
    """An instrument without fine structure."""
    wave = np.geomspace(low, high, pixels)
    plain = Instrument("plain", wave, np.full(pixels, 60.0), np.ones(pixels), (1.0, 20.0))
    return QuasarSimulator(plain, quasar_prior().replace(z=dist.Uniform(*z)), nuisances=nuisances)


def theta_of(**changed):
    return jnp.array(list((USUAL | changed).values()))


def spectrum(sim, latent=None, **changed):
    latent = jnp.zeros(sim.layout.size) if latent is None else latent
    return np.asarray(SPECTRUM(sim, theta_of(**changed), latent), float)


def magnitude_of(sim, log_l, z):
    """That of a quasar of a given luminosity at 1450 A, without dust."""
    p = sim.parameters(theta_of(z=z))
    return USUAL["mag"] - 2.5 * (log_l - float(sim.log_luminosity(p, draw_of())))


@pytest.fixture(scope="module")
def near():
    """From the far ultraviolet to H-alpha at rest, without nuisances and nearly without forest."""
    return simulator(1275.0, 8600.0, 3000, (0.02, 0.03))


@pytest.fixture(scope="module")
def far():
    """Lyman alpha in the middle, all nuisances but those of the instrument."""
    return simulator(3800.0, 9000.0, 900, (3.0, 3.6), NUISANCES[:10])


# Window and equivalent width in angstrom of Vanden Berk et al. (2001), table 2, and the luminosity
# that the quasars of the SDSS have where they show the line
PUBLISHED = {
    "Si IV + O IV]": (1360, 1446, 8.13, 46.4), "C IV": (1494, 1620, 23.78, 46.4),
    "C III] + Al III": (1830, 1976, 21.19, 46.1), "Fe III UV48": (2036, 2124, 2.46, 45.7),
    "Fe II 2324": (2257, 2378, 3.56, 45.7), "Mg II": (2686, 2913, 32.28, 45.7),
    "Fe II UV78": (2910, 3021, 4.93, 45.7), "[O II]": (3714, 3740, 1.56, 44.7),
    "[Ne III]": (3850, 3884, 1.38, 44.7), "H-delta": (4050, 4152, 5.05, 44.7),
    "H-gamma": (4285, 4412, 12.62, 44.7), "Fe II 4565": (4435, 4762, 19.52, 44.7),
    "H-beta": (4760, 4980, 46.21, 44.7), "[O III]": (4982, 5035, 13.23, 44.7),
    "Fe II 5306": (5100, 5477, 21.47, 44.7), "He I": (5805, 5956, 4.94, 44.7),
    "H-alpha": (6400, 6765, 194.52, 44.7),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_equivalent_widths_measure_as_published(near, name):
    """Over the straight line between the ends of the window, as the table was made."""
    low, high, width, log_l = PUBLISHED[name]
    flux, rest = spectrum(near, mag=magnitude_of(near, log_l, 0.02)), near.wave / 1.02
    line = np.interp(rest, [low, high], np.interp([low, high], rest, flux))
    inside = (rest > low) & (rest < high)
    found = np.trapezoid((flux / line - 1)[inside], rest[inside])
    # pixels of 0.6 A at the ends of windows; of narrow lines the broader neighbours bend the line
    assert found == pytest.approx(width, rel=0.1)


# Flux over equivalent width of table 2: the local continuum, in units of the flux of Lyman alpha
LOCAL = {
    (1360, 1446): 8.916 / 8.13, (1830, 1976): 15.943 / 21.19, (2036, 2124): 1.580 / 2.46,
    (2257, 2378): 2.008 / 3.56, (2686, 2913): 14.725 / 32.28, (2910, 3021): 2.017 / 4.93,
    (3159, 3224): 0.445 / 1.17, (3394, 3446): 0.405 / 1.22, (3451, 3537): 0.432 / 1.38,
    (3714, 3740): 0.424 / 1.56, (4050, 4152): 1.066 / 5.05, (4285, 4412): 2.616 / 12.62,
    (4435, 4762): 3.757 / 19.52, (4760, 4980): 8.649 / 46.21,
}  # fmt: skip


def test_local_continua_are_those_of_the_composite(near):
    """Power law, Balmer continuum and iron together, from Si IV to H-beta."""
    flux, rest = spectrum(near, mag=magnitude_of(near, 45.7, 0.02)), near.wave / 1.02
    found = np.array([np.interp(window, rest, flux).mean() for window in LOCAL])
    ratio = found / np.array(list(LOCAL.values()))
    # two decimals of the table leave 3 %, the straight lines of windows of 200 A as much again
    np.testing.assert_allclose(ratio / np.median(ratio), 1.0, atol=0.07)


def test_dust_reddens_at_a_given_magnitude(near):
    """The magnitude is behind the dust, so that the flux at 6250 A stays."""
    ratio = spectrum(near, ebv=0.1) / spectrum(near)
    curve = reddening.smc(np.append(near.wave, 6250.0) / 1.02)
    expected = 10 ** (-0.04 * (curve[:-1] - curve[-1]))
    # what is left is the Baldwin effect: the dust hides a more luminous quasar
    away = (near.wave > 5600) & (near.wave < 5800)
    np.testing.assert_allclose(ratio[away], expected[away], rtol=5e-3)
    blue = near.wave < 2900
    assert np.median(ratio[blue] / expected[blue]) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("z", "mag"), [(0.02, 19.0), (0.029, 16.5)])
def test_the_magnitude_is_that_of_the_power_law(near, z, mag):
    """AB: 3631 Jy at magnitude 0; 6250 A has iron and lines beside it, which `parts` tells."""
    parts = near.parts(theta_of(z=z, mag=mag), jnp.zeros(0))
    jansky = 3631e-23 * 10 ** (-0.4 * mag)
    expected = jansky * 2.99792458e18 / 6250.0**2 / 1e-17
    found = np.interp(6250.0, near.wave, np.asarray(parts["continuum"], float))
    assert found == pytest.approx(expected, rel=1e-3)
    total = sum(np.asarray(part, float) for part in parts.values())
    np.testing.assert_allclose(total, spectrum(near, z=z, mag=mag), rtol=1e-4)


def test_redshift_is_a_shift(near):
    """By a whole number of pixels, at one luminosity: the same numbers, dimmed."""
    pixels = 13
    further = 1.02 * near.wave[pixels] / near.wave[0] - 1
    one, other = (spectrum(near, z=z, mag=magnitude_of(near, 45.0, z)) for z in (0.02, further))
    ratio = other[pixels:] / one[:-pixels]
    # single precision, and the luminosity of the Baldwin effect is that of a table of distances
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-3)


def test_baldwin_effect(near):
    """Equivalent widths of C IV as luminosity to the power -0.2, none of Balmer lines."""
    rest = near.wave / 1.02
    peaks = []
    for log_l in (45.4, 46.4):
        parts = near.parts(theta_of(mag=magnitude_of(near, log_l, 0.02)), jnp.zeros(0))
        ratio = np.asarray(parts["lines"] / parts["continuum"], float)
        peaks.append([ratio[np.abs(rest / w - 1) < 0.002].max() for w in (1545.0, 6564.6)])
    carbon, hydrogen = np.log10(peaks[1]) - np.log10(peaks[0])
    assert carbon == pytest.approx(-0.2, abs=2e-3) and hydrogen == pytest.approx(0.0, abs=1e-3)
    wide = lines.luminosity_dex(jnp.array(49.0)) - lines.luminosity_dex(jnp.array(48.0))
    assert not np.any(wide)  # beyond what was measured it goes no further


def test_blue_of_lyman_alpha_the_forest_absorbs(far):
    """Mean transmission of Inoue et al. (2014) by `Opacity`, which is tested on its own."""
    clear = eqx.tree_at(lambda s: s.opacity, far, None)
    for z in (3.05, 3.5):
        ratio = spectrum(far, z=z) / spectrum(clear, z=z)
        tau = np.asarray(Opacity(far.wave, far.lattice.step)(z), float)
        inside = np.abs(np.gradient(tau)) < 0.003  # the edges of lines at the source are steps
        np.testing.assert_allclose(ratio[inside], np.exp(-tau)[inside], rtol=6e-3)
        blue = (far.wave > 1060 * (1 + z)) & (far.wave < 1170 * (1 + z))
        # half to three quarters at redshifts of 2.8 to 3.3 (Becker et al. 2013)
        assert 0.5 < ratio[blue].mean() < 0.75
    thick = spectrum(far, far_latent(far, igm=1.0), z=3.5) / spectrum(clear, z=3.5)
    np.testing.assert_allclose(thick[inside], np.exp(-(10**0.12) * tau)[inside], rtol=8e-3)


def far_latent(sim, **values):
    latent = jnp.zeros(sim.layout.size)
    for name, value in values.items():
        latent = latent.at[sim.layout.place(name)].set(jnp.asarray(value, float))
    return latent


def test_latents_of_zero_are_neutral(far):
    quiet = simulator(3800.0, 9000.0, 900, (3.0, 3.6))
    # the onset of troughs is smooth: 1e-4 of the light at zero
    np.testing.assert_allclose(spectrum(far, z=3.2), spectrum(quiet, z=3.2), rtol=1e-4)


def test_each_nuisance_does_what_it_says(far):
    """Relative change by a latent: where it acts, and nowhere else."""
    still, rest = spectrum(far, z=3.2), far.wave / 4.2
    changed = {
        "lines": (far_latent(far, lines=jnp.eye(10)[5]), (1530, 1560), (1290, 1340)),
        "weak": (far_latent(far, weak=3.0), (1500, 1560), (1450, 1465)),
        "continuum": (far_latent(far, continuum=(1, 0, 0)), (1000, 1190), (1290, 1340)),
        "troughs": (far_latent(far, troughs=(2, 0, 0, 0, 0)), (1480, 1490), (1600, 1700)),
    }
    for name, (latent, there, away) in changed.items():
        ratio = spectrum(far, latent, z=3.2) / still
        moved, left = (ratio[(rest > low) & (rest < high)] for low, high in (there, away))
        assert np.abs(moved - 1).max() > 0.05, name
        assert np.abs(left - 1).max() < 0.02, name


@pytest.mark.slow
def test_draws_are_finite_and_inside_the_prior(far):
    theta, flux, ivar = eqx.filter_jit(lambda s, k: s.draw(k, 32))(far, jr.key(2))
    assert theta.shape == (32, 5) and np.isfinite(far.prior.log_prob(theta)).all()
    assert np.isfinite(flux).all() and (ivar > 0).all()
    wide = jnp.where(jr.bernoulli(jr.key(3), 0.5, (6, far.layout.size)), 3.0, -3.0)
    for latent in wide:  # all corners of the latents' cut
        found = spectrum(far, latent, z=3.6, log_fwhm=4.0, slope=-1.6, ebv=0.3)
        assert np.isfinite(found).all() and (found > -1e-3 * found.max()).all()


@pytest.mark.slow
def test_gradients_match_finite_differences(far):
    theta, latent = theta_of(z=3.2, ebv=0.05), 0.3 * jr.normal(jr.key(4), (far.layout.size,))
    steps = jnp.array([2e-4, 1e-2, 1e-2, 5e-3, 5e-3])

    @eqx.filter_jit
    def both(sim, way):
        model = lambda t: sim.spectrum_of(t, latent)  # noqa: E731
        return jax.jvp(model, (theta,), (way,))[1], (model(theta + way) - model(theta - way)) / 2

    for i, name in enumerate(far.prior.names):
        exact, difference = both(far, jnp.zeros(5).at[i].set(steps[i]))
        error = jnp.linalg.norm(exact - difference) / jnp.linalg.norm(exact)
        assert error < 0.03, f"{name}: {error}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"instrument": "hubble"}, "instrument among .*sdss"),
        ({"nuisances": ("burst",)}, "nuisances among .*burst"),
        ({"prior": quasar_prior().replace(z=dist.Uniform(0.0, 1.0))}, "above 0; got 0"),
        ({"prior": quasar_prior().replace(z=dist.Normal(1.0, 0.1))}, "redshifts within 0 to 20"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        QuasarSimulator(**arguments)


@pytest.mark.slow
def test_quasars_of_boss_are_fitted(data):
    """Two of the survey, started at its redshift; it has absorbers that are not simulated."""
    files = [data / f"spectra/boss/spec-{n}.fits" for n in ("10000-57346-0008", "4055-55359-0010")]
    sim = QuasarSimulator("sdss")
    z, obs = np.array([1.977, 2.953]), read(files).resample(sim.wave)
    red = (sim.wave > 6000) & (sim.wave < 6500)
    flux = np.median(obs.flux[:, red], axis=1) * 1e-17 * 6250**2 / 2.998e18
    usual = (np.full(2, value) for value in (-0.44, 3.65, 0.03))
    start = np.stack([z, -2.5 * np.log10(flux) - 48.6, *usual], axis=1)
    fit = sim.fit(obs, start, iterations=8)
    assert (fit.chi2 < 1.5).all()
    # 1,500 km/s: what broad lines leave to choose, whose shifts are nuisances
    np.testing.assert_allclose((fit.theta[:, 0] - z) / (1 + z), 0, atol=0.005)
