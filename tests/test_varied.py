"""Spectra as other spectrographs would have seen them: what changes, how often, and what never."""

from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.data.spectra import Spectra
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.varied import COARSEST, LONGEST, SHARES, Varied, coarsened, foreign
from flowspec.sim.stored import Simulations

ROWS, PIXELS = 3000, 240
FLUX = np.arange(1.0, PIXELS + 1)
ALL, NONE = 1.0, 0.0


def binomial(share: float, rows: int, errors: float = 4.0) -> float:
    """So many standard errors of a share among rows."""
    return errors * (share * (1 - share) / rows) ** 0.5


@jax.jit
def change(shares, keys, flux, ivar):
    """With any shares, compiled once for all of them."""
    return jax.vmap(partial(foreign, shares=shares))(keys, flux, ivar)


def seen(shares=SHARES, flux=FLUX, ivar=1.0, seed=0):
    """`ROWS` changed spectra; before, no two pixels of one are the same and all have data."""
    data = (jnp.broadcast_to(jnp.asarray(a, jnp.float32), (ROWS, PIXELS)) for a in (flux, ivar))
    keys = jr.split(jr.key(seed), ROWS)
    return tuple(np.asarray(a) for a in change(jnp.array(shares), keys, *data))


@pytest.mark.parametrize("size", [2, 3, COARSEST])
def test_coarser_pixels_are_those_that_resampling_would_copy(size):
    rng = np.random.default_rng(size)
    flux, ivar = rng.normal(size=48).astype(np.float32), rng.uniform(0.5, 2, 48).astype(np.float32)
    ivar[20:29] = 0
    wide, weight = coarsened(*map(jnp.asarray, (flux, ivar, size, 0)))
    fine = 5000 + np.arange(48.0)
    coarse = Spectra(fine, flux[None], ivar[None]).resample(
        fine.reshape(-1, size).mean(1), weighted=True
    )
    # sums of up to four numbers near one, in single precision
    np.testing.assert_allclose(np.asarray(weight)[::size], coarse.ivar[0], atol=1e-5)
    good = coarse.ivar[0] > 0
    np.testing.assert_allclose(np.asarray(wide)[::size][good], coarse.flux[0][good], atol=1e-5)
    assert len(set(np.asarray(wide)[:size].tolist())) == 1


@pytest.mark.parametrize("phase", range(COARSEST))
@pytest.mark.parametrize("size", [1, 2, 3, COARSEST])
def test_a_coarse_pixel_is_the_inverse_variance_mean_of_its_group(size, phase):
    """Group by group, in every phase; a group of which most has no data has none."""
    rng = np.random.default_rng(COARSEST * size + phase)
    flux, ivar = rng.normal(size=30), rng.uniform(0.5, 2, 30) * (rng.uniform(size=30) > 0.4)
    flux[ivar == 0] = 1e9  # must not contribute
    data = (jnp.asarray(a, jnp.float32) for a in (flux, ivar))
    wide, weight = coarsened(*data, jnp.asarray(size), jnp.asarray(phase))
    starts = [i for i in range(30) if i == 0 or (i + phase) % size == 0]
    for start, end in zip(starts, [*starts[1:], 30], strict=True):
        here, good = slice(start, end), ivar[start:end] > 0
        known = 2 * good.sum() >= end - start
        mean = np.average(flux[here][good], weights=ivar[here][good]) if known else 0
        # four numbers near one, in single precision
        np.testing.assert_allclose(wide[here], mean, atol=1e-6)
        np.testing.assert_allclose(weight[here], ivar[here].sum() * known, atol=1e-6)


def test_each_change_is_as_frequent_as_its_share():
    flux, ivar = seen()
    coarse = ((np.diff(flux) == 0) & (ivar[:, 1:] > 0)).any(1)
    assert coarse.mean() == pytest.approx(SHARES[0], abs=binomial(SHARES[0], ROWS))
    lost = (ivar == 0).any(1)
    some = 1 - (1 - SHARES[1]) * (1 - SHARES[2])
    # and the few cuts and gaps shorter than half a pixel, which no pixel's centre is in
    few = sum(SHARES[1:]) * 0.5 / PIXELS / LONGEST
    assert lost.mean() == pytest.approx(some - few, abs=binomial(some, ROWS))
    # one has nothing to do with the other
    both = SHARES[0] * some
    assert (coarse & lost).mean() == pytest.approx(both, abs=binomial(both, ROWS))


def test_pixels_are_as_often_two_as_three_or_four_times_as_wide():
    flux, ivar = seen((ALL, NONE, NONE))
    size = np.round(ivar.max(1))  # of pixels of inverse variance 1, as many are added up
    for wide in range(2, COARSEST + 1):
        share = 1 / (COARSEST - 1)
        assert (size == wide).mean() == pytest.approx(share, abs=binomial(share, ROWS))
        # in every phase: the first pixel is all of the grid's, or what is left of one
        assert set(np.round(ivar[size == wide, 0])) == set(range(1, wide + 1))
    assert (flux[:, 1:] >= flux[:, :-1]).all()  # the order stays


def test_a_shorter_range_lacks_one_end_or_the_other():
    flux, ivar = seen((NONE, ALL, NONE))
    lost = ivar == 0
    first, last = lost[:, 0], lost[:, -1]
    assert not (first & last).any() and (np.diff(lost, axis=1).sum(1) <= 1).all()
    assert first[lost.any(1)].mean() == pytest.approx(0.5, abs=binomial(0.5, ROWS))
    # uniform up to the longest: its mean and its variance, which pixels of 1 / 240 do not change
    length = lost.mean(1)
    assert length.max() <= LONGEST + 0.5 / PIXELS
    assert length.mean() == pytest.approx(LONGEST / 2, abs=4 * LONGEST / (12 * ROWS) ** 0.5)
    variance = LONGEST**2 / 12  # whose standard error is sqrt(0.8 / rows) of it
    assert length.var() == pytest.approx(variance, abs=4 * variance * (0.8 / ROWS) ** 0.5)
    np.testing.assert_array_equal(flux, np.where(lost, 0, FLUX))


def test_a_gap_is_one_stretch_anywhere():
    flux, ivar = seen((NONE, NONE, ALL))
    lost = ivar == 0
    ends = np.diff(np.pad(lost, ((0, 0), (1, 1))).astype(int))
    assert ((ends == 1).sum(1) <= 1).all() and lost.mean(1).max() <= LONGEST + 1 / PIXELS
    # its centre is uniform over the range, so that the middle half of it has half of the centres
    some = lost.any(1)
    centre = (lost[some] * (np.arange(PIXELS) + 0.5)).sum(1) / lost[some].sum(1) / PIXELS
    middle = np.abs(centre - 0.5) < 0.25
    assert middle.mean() == pytest.approx(0.5, abs=binomial(0.5, middle.size))
    # wherever it is, a quarter of the gaps is longer than three quarters of the longest
    long = lost[some][middle].mean(1) > 0.75 * LONGEST
    assert long.mean() == pytest.approx(0.25, abs=binomial(0.25, long.size) + 1 / PIXELS)
    np.testing.assert_array_equal(flux, np.where(lost, 0, FLUX))


def test_no_data_stays_no_data():
    """A stretch without, of which only its ends can share a coarse pixel with data."""
    hole, inner = slice(100, 140), slice(100 + COARSEST // 2, 140 - COARSEST // 2)
    flux, ivar = FLUX.copy(), np.ones(PIXELS)
    flux[hole], ivar[hole] = 1e9, 0  # a flux that must not be seen
    found, weight = seen(flux=flux, ivar=ivar)
    assert (weight[:, inner] == 0).all()
    assert (found[weight == 0] == 0).all() and (found <= PIXELS).all() and (weight >= 0).all()
    fine = weight.max(1) == 1  # not coarse
    assert (weight[fine, hole] == 0).all()
    assert not any(a.any() for a in seen(flux=flux, ivar=0.0))


def test_its_noise_is_that_of_its_inverse_variance():
    """White noise of known variance: chi of every pixel is standard normal, whatever the pixels."""
    ivar = np.linspace(0.2, 5, PIXELS)
    noise = np.random.default_rng(5).standard_normal((ROWS, PIXELS)) * ivar**-0.5
    found, weight = seen(flux=noise, ivar=ivar, seed=6)
    chi = (found * np.sqrt(weight))[weight > 0]
    # neighbours repeat, so up to COARSEST pixels are one
    assert chi.std() == pytest.approx(1, abs=5 * (COARSEST / 2 / len(chi)) ** 0.5)


@pytest.mark.slow
def test_parameters_grid_and_rows_are_those_of_the_simulator():
    """Each row's flux is its parameter, which all of its pixels with data still say."""
    level, wave = np.linspace(1, 9, ROWS), np.linspace(4000.0, 8000.0, PIXELS)
    flux = np.broadcast_to(level[:, None], (ROWS, PIXELS))
    prior = Prior({"level": dist.Uniform(1.0, 9.0)})
    sim = Varied(Simulations(level[:, None], flux, np.ones_like(flux), wave, prior))
    every, some = sim.rows(), sim.simulate(jr.key(4), 300)
    np.testing.assert_array_equal(every.theta[:, 0], np.float32(level))
    assert len(some.theta) == 300
    for theta, source, (found, ivar) in (every, some):
        assert 0.1 < (np.asarray(ivar) == 0).any(1).mean() < 0.5 and not np.any(source)
        # means of up to four equal numbers below ten, in single precision
        np.testing.assert_allclose(found, np.where(ivar > 0, theta, 0), atol=3e-6)
    assert sim.prior == prior and sim.description == "Varied Simulations"
    np.testing.assert_array_equal(sim.frame.wave, wave)
