"""Networks against direct sums: correlation, alignment, masks and the shift symmetry."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.data.continuum import running_mean
from flowspec.data.frame import Columns
from flowspec.model.space import Space
from flowspec.networks.aligned import AlignedNetwork
from flowspec.networks.blocks import fast_length, principal_components
from flowspec.networks.channels import CHANNELS, preprocess
from flowspec.networks.vector import VectorArchitecture, VectorNetwork
from tests.problems import linear_simulator

PIXELS, BINS = 96, 11


def network(bin_pixels=1):
    net = AlignedNetwork(
        pixels=PIXELS, bins=BINS, bin_pixels=bin_pixels, templates=3, aligned=4, window=9
    )
    flux = jr.normal(jr.key(0), (2, PIXELS)) + 3
    variables = net.init(jr.key(1), flux, jnp.ones_like(flux), k=jnp.zeros(2, int))
    return net, variables


@pytest.mark.slow
@pytest.mark.parametrize("bin_pixels", [1, 2, 3])
def test_correlation_is_the_direct_sum_at_every_shift(bin_pixels):
    net, variables = network(bin_pixels)
    x = jr.normal(jr.key(2), (2, CHANNELS, PIXELS))
    found = net.apply(variables, x, method="correlate")
    coarse = np.pad(np.asarray(x), ((0, 0), (0, 0), (0, -PIXELS % bin_pixels)))
    coarse = coarse.reshape(2, CHANNELS, -1, bin_pixels).sum(-1)
    template = np.asarray(variables["params"]["trial"])
    n = coarse.shape[-1]
    for b in range(BINS):
        start = BINS - 1 - b
        expected = np.einsum("ncp,ctp->nt", coarse, template[..., start : start + n])
        np.testing.assert_allclose(found[..., b], expected, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("bin_pixels", [1, 2])
def test_rest_frame_is_the_same_wherever_a_spectrum_was_redshifted_to(bin_pixels):
    net, _ = network(bin_pixels)
    x = jnp.zeros((2, CHANNELS, PIXELS)).at[0, :, 20].set(1.0)
    x = x.at[1, :, 20 + 4 * bin_pixels].set(1.0)
    rest = net.to_rest(x, jnp.array([3, 7]))
    np.testing.assert_array_equal(rest[0], rest[1])


@pytest.mark.slow
@pytest.mark.parametrize("bin_pixels", [1, 2, 3])
def test_projecting_everywhere_is_projecting_at_each_bin(bin_pixels):
    net, variables = network(bin_pixels)
    x = jr.normal(jr.key(2), (2, CHANNELS, PIXELS))
    everywhere = net.apply(variables, x, method="project_everywhere")
    for b in range(BINS):
        at = net.apply(variables, x, jnp.array([b, b]), method="project")
        np.testing.assert_allclose(everywhere[..., b], at, atol=2e-5)


def test_correlation_follows_a_shift():
    net, variables = network()
    x = jnp.zeros((1, CHANNELS, PIXELS)).at[..., 30:60].set(jr.normal(jr.key(3), (30,)))
    here = net.apply(variables, x, method="correlate")
    there = net.apply(variables, jnp.roll(x, 2, axis=-1), method="correlate")
    np.testing.assert_allclose(here[..., :-2], there[..., 2:], atol=2e-5)


def test_masked_pixels_cannot_change_anything():
    net, variables = network()
    flux = jr.normal(jr.key(4), (2, PIXELS)) + 2
    ivar = jnp.ones((2, PIXELS)).at[:, 40:50].set(0.0)
    wild = flux.at[:, 40:50].set(jnp.array([1e6, -1e6, jnp.nan, jnp.inf, 0, 1, 2, 3, 4, 5]))
    bins = jnp.array([1, 5])
    for a, b in zip(
        jax.tree.leaves(net.apply(variables, flux, ivar, k=bins)),
        jax.tree.leaves(net.apply(variables, wild, ivar, k=bins)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_nothing_at_all_gives_finite_features():
    net, variables = network()
    blank = jnp.zeros((1, PIXELS))
    for leaf in jax.tree.leaves(net.apply(variables, blank, blank, k=jnp.zeros(1, int))):
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_channels_do_not_depend_on_the_unit_of_flux(scale):
    flux = jr.normal(jr.key(5), (2, PIXELS)) + 2
    ivar = jnp.full_like(flux, 4.0)
    here, one = preprocess(flux, ivar, 9)
    there, other = preprocess(scale * flux, ivar / scale**2, 9)
    np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(other[:, 0] - one[:, 0], np.log10(scale), rtol=1e-4)


def test_running_mean_is_a_window_sum():
    x = jr.normal(jr.key(6), (50,))
    expected = np.convolve(np.asarray(x), np.ones(7), "same")
    np.testing.assert_allclose(running_mean(x, 7), expected, atol=1e-5)


def test_principal_components_span_what_the_rows_span():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((30, 3)))[0].T
    rows = rng.standard_normal((200, 3)) * [5, 3, 1] @ basis
    found = principal_components(rows, 4)[1:]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(found @ basis.T).max(1), 1, atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(found @ basis.T, axis=1), 1, atol=1e-5)


@pytest.fixture(scope="module")
def numbers():
    """Of four columns: normal, the same with gaps and wild values, constant, and never there."""
    space = Space(linear_simulator().priors, ("a",))
    net = VectorNetwork.made(Columns("abcd"), space, VectorArchitecture(hidden=8, blocks=1))
    rng = np.random.default_rng(0)
    values = 5 + 3 * rng.standard_normal((4000, 4))
    values[:40, 1], values[:, 2] = 1e6, 7.0
    present = np.ones(values.shape, bool)
    present[1000:3000, 1], present[:, 3] = False, False
    err = np.broadcast_to([0.3, 0.3, 0.0, 0.3], values.shape)
    data = tuple(map(jnp.asarray, (values, err, present)))
    variables = net.init(jr.key(0), *(a[:1] for a in data), k=jnp.zeros(1, int))
    return net, net.started(variables, data, jnp.zeros(4000, int)), data


def test_numbers_start_in_units_of_their_spread(numbers):
    _, variables, _ = numbers
    centre, scale = (variables["params"][n] for n in ("centre", "log_scale"))
    # medians and widths of 4,000 and 2,000, to 5 standard errors; 2 % of wild values move them so
    np.testing.assert_allclose(centre[:2], 5, atol=5 * 1.25 * 3 / 2000**0.5 + 0.1)
    np.testing.assert_allclose(np.exp(scale[:2]), 3, rtol=0.12)
    np.testing.assert_array_equal(centre[2:], [7, 0])
    np.testing.assert_array_equal(scale[2:], 0)


def test_absent_numbers_cannot_change_anything_and_units_do_not_matter(numbers):
    net, variables, (values, err, present) = numbers
    rows = slice(995, 1005)
    given = [a[rows] for a in (values, err, present)]
    wild = jnp.where(given[2], given[0], 1e9), jnp.where(given[2], given[1], 7.0), given[2]
    embed = jax.jit(lambda variables, *data: net.apply(variables, *data, method="embed").summary)
    expected = embed(variables, *given)
    np.testing.assert_array_equal(embed(variables, *wild), expected)
    other = net.started(variables, (1e3 * values, 1e3 * err, present), jnp.zeros(4000, int))
    found = embed(other, 1e3 * given[0], 1e3 * given[1], given[2])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    missing = embed(variables, *given[:2], given[2].at[:, 0].set(False))
    assert not np.allclose(missing, expected)


def test_fast_length_has_small_factors_only():
    for n in range(2, 400):
        length = fast_length(n)
        assert length >= n and length % 2 == 0
        for p in (2, 3, 5):
            while length % p == 0:
                length //= p
        assert length == 1
