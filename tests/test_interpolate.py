"""Interpolation between models: functions that it must get right, and its own error estimate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowspec.data.line_grid import LineGrid
from flowspec.sim.nebula.interpolate import Regular, Scattered, interpolator, leave_one_out

LINES = ("Hbeta", "[OIII]5007")


def grid(points, log_flux) -> LineGrid:
    flux = 10.0 ** np.stack([np.zeros(len(points)), log_flux], axis=1)
    return LineGrid(points, flux, ("log_u", "oh"), LINES, 1e-6, "made up")


def regular(function, steps=(9, 12)) -> LineGrid:
    axes = np.linspace(-4, -2, steps[0]), np.linspace(7, 9, steps[1])
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    return grid(points, function(points))


def scattered(function, count=80) -> LineGrid:
    points = np.random.default_rng(0).uniform([-4, 7], [-2, 9], (count, 2))
    return grid(points, function(points))


def smooth(x):
    return 0.3 * np.sin(2 * x[:, 0]) + 0.4 * (x[:, 1] - 8) ** 2


INSIDE = np.random.default_rng(1).uniform([-3.9, 7.1], [-2.1, 8.9], (200, 2))


@pytest.mark.parametrize(("make", "kind"), [(regular, Regular), (scattered, Scattered)])
def test_planes_and_the_models_themselves_are_exact(make, kind):
    plane = lambda x: 1.5 + 0.5 * x[:, 0] - 0.2 * x[:, 1]  # noqa: E731
    table = interpolator(make(plane))
    assert isinstance(table, kind)
    # single precision of numbers near ten
    np.testing.assert_allclose(jax.vmap(table)(INSIDE)[:, 1], plane(INSIDE), atol=3e-5)
    known = make(smooth)
    found = jax.vmap(interpolator(known))(jnp.asarray(known.points))
    np.testing.assert_allclose(found[:, 1], smooth(known.points), atol=2e-4)
    np.testing.assert_allclose(found[:, 0], 0, atol=1e-6)


@pytest.mark.parametrize("make", [regular, scattered])
def test_the_error_estimate_is_that_of_a_known_function(make):
    known = make(smooth)
    found = np.asarray(jax.vmap(interpolator(known))(jnp.asarray(INSIDE)))[:, 1]
    true = np.log(10) * np.sqrt(np.mean((found - smooth(INSIDE)) ** 2))
    estimate = leave_one_out(known)
    assert estimate[0] == pytest.approx(0, abs=1e-6)
    # an estimate, of other places than these; among scattered models leaving out costs more
    assert 0.5 * true < estimate[1] < 30 * true
    assert estimate[1] < 0.1


def test_leaving_one_out_is_what_it_says():
    """Rippa's formula against twelve interpolations of all models but one."""
    known = scattered(smooth, 12)
    errors = []
    for i in range(12):
        rest = np.delete(np.arange(12), i)
        # in the coordinates of all: standardised anew, cubes of distances would be others
        left = LineGrid(known.points[rest], known.flux[rest], known.names, LINES, 1e-6, "")
        centre, scale = known.points.mean(0), known.points.std(0)
        own, width = left.points.mean(0), left.points.std(0)
        if i == 0:
            # the basis is not quite the same: a cube of a distance in other units
            assert np.allclose(scale, width, rtol=0.3) and np.allclose(centre, own, rtol=0.3)
        errors.append(float(interpolator(left)(jnp.asarray(known.points[i]))[1])
                      - smooth(known.points[i : i + 1])[0])
    brute = np.log(10) * np.sqrt(np.mean(np.square(errors)))
    assert leave_one_out(known)[1] == pytest.approx(brute, rel=0.25)


@pytest.mark.parametrize("make", [regular, scattered])
def test_it_has_the_derivative_of_what_it_interpolates(make):
    table = interpolator(make(smooth))
    x = jnp.array([-3.02, 8.03])
    slope = jax.grad(lambda x: table(x)[1])(x)
    expected = [0.6 * np.cos(2 * -3.02), 0.8 * 0.03]
    np.testing.assert_allclose(slope, expected, atol=0.06)  # of chords a sixteenth wide
    assert jnp.isfinite(jax.jacfwd(table)(jnp.asarray(make(smooth).points[3]))).all()


def test_beyond_the_ends_of_a_regular_grid_it_is_constant():
    table = interpolator(regular(smooth))
    ends = table(jnp.array([-4.0, 9.0]))
    np.testing.assert_allclose(table(jnp.array([-9.0, 12.0])), ends, atol=1e-6)


def test_too_few_scattered_models_are_refused():
    with pytest.raises(ValueError, match="expected a regular grid or 4 to"):
        interpolator(scattered(smooth, 3))
