"""Spectra of nebulae against the fluxes, widths and dust that they were made of."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from dust_extinction.parameter_averages import CCM89

from flowspec import Architecture, NebulaSimulator, NebulaSpectra, Spectra, Training, fit
from flowspec.data.line_grid import LineGrid
from flowspec.data.line_waves import WAVES
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.nebula.spectra import painted

# log10 of the flux, and its slopes with log U and O/H; a sum is that of its lines.
PLANES = {
    "Hbeta": (0.0, 0.0, 0.0), "[OIII]4959": (0.1, 0.4, -0.2), "[OIII]5007": (0.57, 0.4, -0.2),
    "HeI5876": (-0.9, 0.05, 0.0), "[NII]6548": (-0.8, -0.2, 0.5), "Halpha": (0.46, 0.0, 0.0),
    "[NII]6584": (-0.3, -0.2, 0.5), "[SII]6717": (-0.4, -0.3, 0.2),
    "[SII]6731": (-0.5, -0.3, 0.2), "[SIII]9069": (-0.7, 0.3, 0.1),
}  # fmt: skip
SUMS = {"[SII]6717,6731": ("[SII]6717", "[SII]6731"), "[OIII]4959,5007": PLANES.keys() & {
    "[OIII]4959", "[OIII]5007"}}  # fmt: skip
USUAL = {
    "z": 0.0071, "log_u": -2.7, "oh": 8.3, "av": 0.6, "dispersion": 30.0, "log_hbeta": 2.2,
    "log_ew": 1.8, "slope": -0.7,
}  # fmt: skip


def grid(lines) -> LineGrid:
    axes = np.meshgrid([-4.0, -3.0, -2.0], [7.5, 8.0, 8.5, 9.0], indexing="ij")
    points = np.stack(axes, -1).reshape(-1, 2)
    terms = np.stack([np.ones(12), points[:, 0] + 3, points[:, 1] - 8])
    flux = {name: 10 ** (np.array(plane) @ terms) for name, plane in PLANES.items()}
    flux |= {name: sum(flux[part] for part in parts) for name, parts in SUMS.items()}
    columns = np.stack([flux[line] for line in lines], axis=1)
    return LineGrid(points, columns, ("log_u", "oh"), tuple(lines), 1e-4, "made up")


@pytest.fixture(scope="module")
def sim() -> NebulaSpectra:
    """All lines and their sums, without nuisances, also approaching."""
    nebula = NebulaSimulator(grid([*PLANES, *SUMS]), error=0.2)
    return NebulaSpectra(nebula, "muse", z=(-0.002, 0.02), nuisances=())


SPECTRUM = eqx.filter_jit(lambda sim, theta: sim.flux(jr.key(0), theta))

DRAWS = eqx.filter_jit(lambda sim, key: sim.draw(key, 48))


def theta_of(sim, **changed):
    values = USUAL | changed
    return jnp.array([values[name] for name in sim.prior.names])


def continuum(sim, **changed):
    """By its definition: a power law with the wanted equivalent width at H-beta."""
    p = USUAL | changed
    rest = sim.wave / (1 + p["z"])
    level = 10 ** (p["log_hbeta"] - p["log_ew"]) / (1 + p["z"])
    return level * (rest / WAVES["Hbeta"]) ** p["slope"]


def line_light(sim, **changed):
    """Flux of each pixel, the continuum subtracted, 1e-17 erg/s/cm2."""
    flux = np.asarray(SPECTRUM(sim, theta_of(sim, **changed)), float)
    return (flux - continuum(sim, **changed)) * np.gradient(sim.wave)


def near(sim, line, reach, **changed):
    z = (USUAL | changed)["z"]
    return np.abs(sim.wave / (1 + z) / WAVES[line] - 1) < reach / C_KMS


def ratios_of(sim, **changed):
    p = USUAL | changed
    theta = jnp.array([p[name] for name in sim.nebula.names])
    ratio = sim.nebula.ratios(theta, jnp.array(0), jnp.array(0.0))[0]
    return dict(zip(sim.nebula.lines, np.asarray(ratio), strict=True))


CASES = {
    "usual": {},
    "approaching": {"z": -0.0017, "oh": 8.9},
    "dusty, bright": {"z": 0.0193, "av": 3.0, "log_hbeta": 3.5, "slope": 0.8},
    "faint continuum": {"log_hbeta": 0.3, "log_ew": 3.0, "log_u": -3.9},
}


@pytest.mark.parametrize("case", CASES)
def test_integrated_fluxes_are_those_of_the_nebula(sim, case):
    p = CASES[case]
    light, ratios = line_light(sim, **p), ratios_of(sim, **p)
    brightness = 10 ** (USUAL | p)["log_hbeta"]
    for line in PLANES:
        # lines of 58 to 78 km/s, the nearest two 640 apart
        found = light[near(sim, line, 300, **p)].sum()
        # single precision of pixels on a continuum some ten times as bright as the weakest line
        assert found == pytest.approx(brightness * ratios[line], rel=2e-3), line
    # every line once: sums add nothing to the lines that they sum
    total = brightness * sum(ratios[line] for line in PLANES)
    assert light.sum() == pytest.approx(total, rel=2e-3)


@pytest.mark.parametrize("case", CASES)
def test_the_continuum_has_its_slope_and_the_equivalent_width_its_size(sim, case):
    p = CASES[case]
    flux = np.asarray(SPECTRUM(sim, theta_of(sim, **p)), float)
    apart = ~np.any([near(sim, line, 1000, **p) for line in PLANES], axis=0)
    # a lattice of finite step rings about its lines by 2e-5 of their peak
    np.testing.assert_allclose(
        flux[apart], continuum(sim, **p)[apart], rtol=1e-4, atol=2e-5 * flux.max()
    )
    own = near(sim, "Hbeta", 400, **p)
    width = (line_light(sim, **p) / continuum(sim, **p))[own].sum() / (1 + (USUAL | p)["z"])
    assert np.log10(width) == pytest.approx((USUAL | p)["log_ew"], abs=2e-3)


@pytest.mark.parametrize("line", ["Hbeta", "Halpha", "[SIII]9069"])
@pytest.mark.parametrize("dispersion", [15.0, 130.0])
def test_widths_add_in_quadrature_at_the_redshifted_place(sim, line, dispersion):
    """The line-spread function from the resolving power of the manual."""
    only = jnp.array([name == line for name in sim.lines], jnp.float32)
    alone = eqx.tree_at(lambda s: s.shares, sim, sim.shares * only)
    for z in (-0.0013, 0.0182):
        p = {"z": z, "dispersion": dispersion, "log_ew": 2.9}
        inside = near(alone, line, 900, **p)
        x, weight = np.log(alone.wave[inside]) * C_KMS, line_light(alone, **p)[inside]
        mean = (x * weight).sum() / weight.sum()
        width = (((x - mean) ** 2 * weight).sum() / weight.sum()) ** 0.5
        centre = WAVES[line] * (1 + z)
        power = 1770 + (centre - 4800) / 4500 * (3590 - 1770)
        pixel = C_KMS * np.log(alone.wave[1] / alone.wave[0])
        lsf = C_KMS / power / 2.3548
        assert abs(mean - C_KMS * np.log(centre)) < 0.02 * pixel
        expected = (dispersion**2 + lsf**2 + pixel**2 / 12) ** 0.5
        assert width == pytest.approx(expected, rel=0.015)  # the LSF varies within a line


def test_dust_reddens_by_its_law(sim):
    def decrement(av):
        light = line_light(sim, av=av)
        return light[near(sim, "Halpha", 300)].sum() / light[near(sim, "Hbeta", 300)].sum()

    wave = np.array([WAVES["Halpha"], WAVES["Hbeta"]])
    a = CCM89(Rv=3.1).evaluate(1e4 / wave, 3.1)
    expected = 10 ** (-0.4 * 2.5 * (a[0] - a[1]))
    assert decrement(2.5) / decrement(0.0) == pytest.approx(expected, rel=2e-3)
    # H-beta is as bright as it is seen
    assert line_light(sim, av=2.5)[near(sim, "Hbeta", 300)].sum() == pytest.approx(
        10 ** USUAL["log_hbeta"], rel=2e-3
    )


def test_a_sum_is_painted_where_its_lines_are_not():
    names, split = painted(("[OII]3726", "[OII]3726,3729", "[OII]3729", "Hbeta"))
    assert names == ("[OII]3726", "[OII]3729", "Hbeta")
    np.testing.assert_array_equal(split, [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]])
    names, split = painted(("[OII]3726,3729", "[OIII]4959,5007"))
    assert names == ("[OII]3726", "[OII]3729", "[OIII]4959", "[OIII]5007")
    np.testing.assert_allclose(split.sum(1), 1)
    # 50 electrons per cm3 (Osterbrock & Ferland 2006, figure 5.8: 1.35 to 1.45)
    assert 1.3 < split[0, 1] / split[0, 0] < 1.5
    # one upper level: 2.98 (Storey & Zeippen 2000)
    assert split[1, 3] / split[1, 2] == pytest.approx(2.98, rel=0.03)


def test_a_sum_beside_one_of_its_lines_adds_the_other():
    names, split = painted(("[NII]6584", "[NII]6548,6584"))
    assert names == ("[NII]6584", "[NII]6548")
    # 3.05 (Storey & Zeippen 2000): a quarter of the sum
    np.testing.assert_allclose(split, [[1, 0], [0, 1 / 4.05]], atol=0.01)
    # of a sum within a sum the smaller tells, and no line is there twice
    names, split = painted(("[OII]3726,3729,7320,7330", "[OII]3726,3729"))
    assert names == ("[OII]3726", "[OII]3729", "[OII]7320", "[OII]7330")
    assert (split[0, :2] == 0).all() and (split[0, 2:] > 0).all()
    # lines that the shipped grid does not know share alike
    np.testing.assert_array_equal(painted(("[NeV]3346,3426",))[1], [[0.5, 0.5]])


def test_only_a_sum_has_the_light_of_its_lines(sim):
    lines = [line for line in [*PLANES, *SUMS] if line not in ("[SII]6717", "[SII]6731")]
    summed = NebulaSpectra(NebulaSimulator(grid(lines)), "muse", nuisances=())
    assert set(summed.lines) == set(sim.lines) == set(PLANES)
    found, each = (
        dict(zip(s.lines, s.line_fluxes(theta_of(s), jnp.zeros(len(s.nebula.lines))), strict=True))
        for s in (summed, sim)
    )
    # dust at the mean wavelength of the two, which the gradient of the law makes the same
    assert sum(found[n] for n in SUMS["[SII]6717,6731"]) == pytest.approx(
        float(sum(each[n] for n in SUMS["[SII]6717,6731"])), rel=1e-3
    )
    assert found["[SII]6717"] > found["[SII]6731"] > 0


def test_the_error_of_the_models_is_that_of_the_catalogue(sim):
    """Scatter of integrated fluxes over keys: 20 % of each line, none of H-beta."""
    noisy = NebulaSpectra(sim.nebula, "muse", nuisances=("lines",))
    draw = eqx.filter_jit(lambda s, keys: jax.vmap(lambda key: s.flux(key, theta_of(s)))(keys))
    flux = np.asarray(draw(noisy, jr.split(jr.key(0), 300)), float)
    light = (flux - continuum(noisy)) * np.gradient(noisy.wave)
    fluxes = {line: light[:, near(noisy, line, 300)].sum(1) for line in PLANES}
    assert fluxes["Hbeta"].std() / fluxes["Hbeta"].mean() < 1e-3
    relative = {line: f / f.mean() for line, f in fluxes.items() if line != "Hbeta"}
    for line, values in relative.items():
        # 4 standard errors of 300 draws
        assert values.std() == pytest.approx(0.2, rel=4 / 600**0.5), line
    both = np.corrcoef(relative["Halpha"], relative["[NII]6584"])[0, 1]
    assert abs(both) < 4 / 300**0.5


def test_draws_are_finite_noisy_and_inside_the_prior():
    sim = NebulaSpectra(NebulaSimulator(grid(PLANES)))
    assert sim.prior.names == tuple(USUAL) and len(sim.wave) == 4096
    theta, flux, ivar = (np.asarray(a) for a in DRAWS(sim, jr.key(1)))
    assert flux.shape == ivar.shape == (48, 4096)
    assert np.isfinite(flux).all() and (ivar > 0).all()
    assert np.isfinite(sim.prior.log_prob(theta)).all()
    snr = (np.abs(flux) * np.sqrt(ivar)).mean(1)
    assert snr.min() < 2 and snr.max() > 10  # log-uniform from 0.3 to 30, noise adds to it
    rest, held = sim.held_out(10)  # by which `fit` knows simulations already made
    assert rest is sim and held is None


def test_a_mixed_nebula_brings_its_parameters(sim):
    other = grid(PLANES).between(log_u=(-3.0, -2.0))
    mixed = NebulaSpectra(NebulaSimulator(grid(PLANES), mixed=other), nuisances=())
    names = ("z", "log_u", "oh", "av", "mixing", "mix_log_u", "dispersion")
    assert mixed.prior.names[:7] == names
    still = jnp.zeros(len(PLANES))
    found = mixed.line_fluxes(theta_of(mixed, mixing=1.0, mix_log_u=-2.2), still)
    plain = NebulaSpectra(NebulaSimulator(grid(PLANES)), nuisances=())
    expected = plain.line_fluxes(theta_of(plain, log_u=-2.2), still)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instrument": "hubble"}, "an instrument among .*muse"),
        ({"nuisances": ("burst",)}, "nuisances among .*burst"),
        ({"z": (0.02, 0.01)}, "limits of z above -0.1, low to high; got 0.02, 0.01"),
        ({"dispersion": (0.0, 100.0)}, "limits of dispersion above 0, low to high; got 0.0, 100"),
        ({"slope": (1.0, 1.0)}, "limits of slope low to high; got 1.0, 1.0"),
        ({"z": (3.0, 3.1)}, "expected lines from 11.. to 23.. A; got .*Hbeta"),
    ],
)
def test_wrong_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        NebulaSpectra(NebulaSimulator(grid(PLANES)), **options)


def test_wrong_nebulae_are_named():
    two = NebulaSimulator({"HII": grid(PLANES), "hot": grid(PLANES)})
    with pytest.raises(ValueError, match="expected a nebula of one source; got HII, hot"):
        NebulaSpectra(two)
    plain = grid(PLANES)
    named = LineGrid(plain.points, plain.flux, ("slope", "oh"), plain.lines, 1e-4, "")
    with pytest.raises(ValueError, match="without parameters named .'slope'"):
        NebulaSpectra(NebulaSimulator(named))


@pytest.mark.slow
def test_fit_trains_on_them_and_samples_inside_the_prior():
    wave = np.geomspace(4800.0, 6800.0, 256)
    small = Instrument("small", wave, 150 + 0 * wave, 1 + 0 * wave, (1.0, 30.0))
    sim = NebulaSpectra(NebulaSimulator(grid(PLANES)), small, z=(-0.001, 0.02))
    _, flux, ivar = (np.asarray(a) for a in DRAWS(sim, jr.key(5)))
    obs = Spectra(wave, flux, ivar)
    sizes = Architecture(
        templates=3, learned=0, aligned=6, window=21, condition=16, layers=2, width=16
    )
    training = Training(steps=20, batch=32, evaluate=20, validation=64)
    post = fit(sim, obs, seed=0, training=training, architecture=sizes, progress=False)
    assert post.names == sim.prior.names
    assert np.isfinite(sim.prior.log_prob(post.sample(obs, 50, seed=1))).all()
