"""What a galaxy feels of other abundances and of other libraries of stars."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from flowspec.sim.galaxy import stars
from flowspec.sim.galaxy.response import StellarCurves
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.lattice import C_KMS

WAVE = np.geomspace(3800, 9000, 3000)
TABLE = stars.load_stars()


@pytest.fixture(scope="module")
def curves():
    return StellarCurves(TABLE, len(WAVE))


def alone(age):
    """All mass formed in the bin of one age in Gyr, and its number."""
    bin_ = int(np.searchsorted(TABLE.age_edges, age)) - 1
    return jnp.zeros(len(TABLE.age_edges) - 1).at[bin_].set(1.0), bin_


def test_a_single_population_feels_what_its_age_does(curves):
    known = stars.load_responses()
    for age in (0.05, 1.0, 10.0):
        mass, bin_ = alone(age)
        rows = np.asarray(curves.rows(mass, jnp.log(jnp.asarray(WAVE)), 0.0, 150.0)["element"])
        whole = np.asarray(curves.blurred(150.0).at(jnp.log(jnp.asarray(WAVE)), 0.0))
        np.testing.assert_allclose(rows, known.strength[:, [bin_]] * whole, rtol=1e-4, atol=1e-7)
    # one standard deviation of magnesium, at the dispersion that it is shown with: its area in a
    # window is that of the table's curve, which a convolution keeps
    i = known.names.index("Mg")
    window = (known.wave > 5100) & (known.wave < 5250)
    area = known.scatter[i] * np.trapezoid(known.curve[i][window], np.log(known.wave[window]))
    inside = (WAVE > 5100) & (WAVE < 5250)
    found = np.trapezoid(whole[i][inside], np.log(WAVE[inside]))
    assert found == pytest.approx(area, rel=0.05)  # what a dispersion of 150 km/s carries over ends


@pytest.mark.parametrize("blur", [110.0, 170.0, 330.0])
def test_features_of_elements_are_broadened_with_the_stars(curves, blur):
    """A spectrum with the feature in it, broadened, over the spectrum without, broadened alike."""
    known, step = stars.load_responses(), 1e-4
    x = np.arange(np.log(4800), np.log(5500), step)
    i = known.names.index("Mg")
    change = known.scatter[i] * np.interp(x, np.log(known.wave), known.curve[i])
    solar = list(TABLE.log_z).index(0.0)
    flux = np.interp(x, np.log(TABLE.wave), TABLE.flux[solar, -2])

    def seen(flux):
        return gaussian_filter1d(flux, np.sqrt(blur**2 - 60**2) / C_KMS / step)

    expected = np.log(seen(flux * np.exp(change)) / seen(flux))
    found = np.asarray(curves.blurred(blur).at(jnp.asarray(x), 0.0)[i])
    inside = (x > np.log(5000)) & (x < np.log(5300))
    # the flux itself has lines: depths of change are right to a tenth of the deepest
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.1 * np.abs(expected).max())


def test_features_move_with_the_redshift(curves):
    mass, _ = alone(10.0)
    near, far = (np.asarray(curves.rows(mass, jnp.log(jnp.asarray(w)), z, 100.0)["element"])
                 for w, z in ((WAVE, 0.0), (WAVE * 1.1, 0.1)))
    np.testing.assert_allclose(far, near, atol=1e-4)  # of ln(wavelength) in single precision


def test_errors_of_libraries_are_those_of_the_table(curves):
    errors = stars.load_library_errors()
    mass, bin_ = alone(5.0)
    rows = curves.rows(mass, jnp.log(jnp.asarray(errors.wave[1:-1])), 0.0, 100.0)["library"]
    np.testing.assert_allclose(rows, errors.curve[:, bin_, 1:-1], atol=5e-3)


def test_light_per_mass_is_that_of_stars():
    """A tenth of a dex more of it: 26 % more starlight, the same emission lines."""
    sim = GalaxySimulator("sdss", nuisances=())
    theta = jnp.array([0.05, 10.5, 0.5, 0.5, 0.0, 0.3, -3.0, 8.6, 150.0])
    draw = sim.nuisances_of(jnp.zeros(0), theta)
    spectrum = eqx.filter_jit(lambda s, light: s.spectrum(
        theta, eqx.tree_at(lambda d: d.light, draw, light)))
    dark = eqx.tree_at(lambda s: (s.star_table), sim, jnp.zeros_like(sim.star_table))
    one, more = (np.asarray(spectrum(sim, jnp.float32(x))) for x in (0.0, 0.1))
    lines, same = (np.asarray(spectrum(dark, jnp.float32(x))) for x in (0.0, 0.1))
    np.testing.assert_allclose(lines, same, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(more - lines, 10**0.1 * (one - lines), rtol=1e-4)
