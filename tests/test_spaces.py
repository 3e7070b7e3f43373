"""Table test: every kind of space × what a change of variables must do."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.model.redshift_bins import RedshiftBins
from flowspec.model.space import Space
from flowspec.prior.galaxies import moons_prior
from flowspec.prior.mixture import MixedPrior
from flowspec.prior.nitrogen import NitrogenPrior
from flowspec.prior.prior import Prior

FLAT = Prior({"z": dist.Uniform(0.1, 0.5), "x": dist.Uniform(-1.0, 2.0),
              "y": dist.Normal(0.0, 3.0)})  # fmt: skip
NARROW = FLAT.replace(x=dist.Uniform(0.0, 0.5), y=dist.LogUniform(1.0, 5.0))
SHEARED = Prior({"z": dist.Uniform(0.1, 0.5), "m": dist.Uniform(8.0, 12.0),
                 "s": dist.Uniform(-12.0, -8.0)}, {"s": "m"})  # fmt: skip
NEBULA = NitrogenPrior(Prior({"oh": dist.Uniform(7.0, 9.0), "no": dist.Uniform(-2.0, 0.0)}), 0.5)
BINS = RedshiftBins(0.1, 0.5, 0.013)
SPACES = {
    "one source": Space((FLAT,), ("a",)),
    "two sources": Space((FLAT, NARROW), ("a", "b")),
    "bins": Space((FLAT,), ("a",), BINS),
    "bins, two sources": Space((FLAT, NARROW), ("a", "b"), BINS),
    "two ranges of redshift": Space(
        (FLAT, FLAT.replace(z=dist.Uniform(0.2, 0.217))), ("a", "b"), BINS
    ),
    "relative parameters": Space((SHEARED,), ("a",), BINS),
    "a mixture": Space((MixedPrior(moons_prior(), 0.5),), ("a",), RedshiftBins(0.6, 3.0, 0.01)),
    "tied abundances": Space((NEBULA,), ("a",)),
}


# long to compile; test_mixed and test_nitrogen have what else there is to them
_LONG = {"a mixture", "tied abundances"}
NAMES = [pytest.param(n, marks=pytest.mark.slow) if n in _LONG else n for n in SPACES]


@pytest.fixture(params=NAMES)
def case(request):
    """A space, parameters of its prior and their sources."""
    space = SPACES[request.param]
    source = jnp.arange(12) % len(space.sources)
    drawn = jnp.stack([prior.sample(jr.key(1), (12,)) for prior in space.priors])
    return space, drawn[source, jnp.arange(12)], source


def test_decode_inverts_encode(case):
    space, theta, source = case
    k, free, _ = space.encode(theta, source)
    assert ((k >= 0) & (k < space.classes)).all()
    np.testing.assert_array_equal(space.source_of(k), source)
    # single precision: levels are known to 1e-7 of the prior's range, rates to as many of its own
    scale = np.ptp(np.asarray(theta), axis=0) + np.abs(np.asarray(theta)).max(0)
    np.testing.assert_allclose(space.decode(k, free) / scale, theta / scale, atol=2e-5)


def test_the_log_determinant_is_that_of_the_map(case):
    space, theta, source = case
    log_det = space.encode(theta, source).log_det
    for row in range(4):
        jacobian = jax.jacfwd(lambda t, s=source[row]: space.encode(t, s).free)(theta[row])
        expected = float(jnp.linalg.slogdet(jacobian)[1])
        # densities near an edge of a bin are steep in float32
        assert float(log_det[row]) == pytest.approx(expected, abs=2e-3)


def test_nothing_leaves_the_prior_of_its_source(case):
    space, _, _ = case
    k = jr.randint(jr.key(2), (2000,), 0, space.classes)
    k = k if space.possible is None else np.flatnonzero(space.possible)[k % space.possible.sum()]
    free = 4 * jr.normal(jr.key(3), (2000, len(space.names)))  # most are far out
    theta, source = space.decode(k, free), space.source_of(k)
    assert np.isfinite(space.log_prior(theta, source)).all()


def test_the_prior_is_normalised(case):
    """The mean of ``N(free) |d free / d theta| / p(theta)`` over draws of the prior is one: no
    ratio is above the one of the flat part of a mixture."""
    space, n = case[0], 20_000
    plain = Space(space.priors, space.sources)  # whole priors, not their bins
    for k, prior in enumerate(space.priors):
        theta, source = prior.sample(jr.key(4), (n,)), jnp.full(n, k)
        _, free, log_det = plain.encode(theta, source)
        log_prior = plain.log_prior(theta, source) + np.log(len(space.sources))
        log_ratio = jax.scipy.stats.norm.logpdf(free).sum(-1) + log_det - log_prior
        ratio = np.exp(np.asarray(log_ratio, float))
        # 5 standard errors, and rounding at the edges
        assert ratio.mean() == pytest.approx(1, abs=5 * ratio.std() / n**0.5 + 2e-3)


def test_a_description_comes_back_the_same(case):
    space, theta, source = case
    again = Space.from_config(space.config())
    assert again == space and hash(again) == hash(space)
    ours, theirs = (s.encode(theta, source).free for s in (space, again))
    np.testing.assert_array_equal(ours, theirs)


def test_bins_share_out_the_redshifts():
    """Every edge belongs to one bin, the last of which ends at the limit."""
    edges = BINS.all_edges()
    assert len(edges) == BINS.bins + 1 and edges[0] == 0.1 and edges[-1] == 0.5
    middle = 0.5 * (edges[1:] + edges[:-1])
    bins = BINS.split(jnp.asarray(middle), BINS.whole)[0]
    np.testing.assert_array_equal(bins, np.arange(BINS.bins))
    steps = np.diff(np.log1p(edges))
    np.testing.assert_allclose(steps[:-1], BINS.width, rtol=1e-9)
    assert 0 < steps[-1] <= BINS.width * (1 + 1e-9)


def test_a_source_has_the_bins_of_its_redshifts():
    """From 0.2 to 0.217 in steps of 0.013 of ln(1 + z) above 0.1: the 7th and the 8th bin."""
    space = SPACES["two ranges of redshift"]
    first, last = (np.log((1 + z) / 1.1) / 0.013 for z in (0.2, 0.217))
    assert (int(first), int(last)) == (6, 7)
    own = space.possible.reshape(2, -1)
    assert own[0].all() and np.flatnonzero(own[1]).tolist() == [6, 7]
    # what is uniform in the part of a bin that the source has, is so in all of that part
    free = jnp.array([[-9.0, 0, 0], [0, 0, 0], [9, 0, 0]])
    z = space.decode(jnp.full(3, BINS.bins + 6), free)[:, 0]
    ends = np.log1p([0.2, np.expm1(np.log(1.1) + 7 * 0.013)])
    np.testing.assert_allclose(np.log1p(z), [ends[0], ends.mean(), ends[1]], atol=3e-7)


def test_sources_of_other_parameters_are_refused():
    with pytest.raises(ValueError, match="same parameters"):
        Space((FLAT, SHEARED), ("a", "b"))
    with pytest.raises(ValueError, match="a prior for each source"):
        Space((FLAT,), ("a", "b"))
