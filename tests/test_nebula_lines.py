"""Two gases on one line of sight (`NebulaSimulator(mixed=)`) against sums done by hand."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.data.line_grid import LineGrid
from flowspec.data.lines import State
from flowspec.sim.nebula.catalogues import Catalogue, NebulaSimulator

LINES = ("Hbeta", "[OIII]5007", "Halpha", "[NII]6584", "[SII]6717,6731")
# log10 of the flux: offset, then the slope with each parameter about its middle. Planes are what
# the interpolation gets exactly right.
HII = {"log_u": (-3.0, 1.0), "oh": (8.0, 1.0)}, [
    [0.0, 0.0, 0.0], [0.3, 0.4, -0.3], [0.46, 0.0, 0.0], [-0.5, -0.2, 0.5], [-0.4, -0.3, 0.2],
]  # fmt: skip
# its parameters in another order, and less of the abundances
AGN = {"oh": (8.4, 0.5), "alpha": (-1.5, 0.5)}, [
    [0.0, 0.0, 0.0], [1.0, -0.2, 0.2], [0.49, 0.0, 0.0], [0.2, 0.4, -0.1], [0.1, 0.1, 0.3],
]  # fmt: skip


def grid(ends, planes, floor=1e-4) -> LineGrid:
    axes = [np.linspace(middle - half, middle + half, 5) for middle, half in ends.values()]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(ends))
    return LineGrid(points, by_hand((ends, planes), points), tuple(ends), LINES, floor, "made up")


def by_hand(kind, points):
    """Fluxes [n, lines] of `HII` or `AGN` at parameters [n, params] in the order of its axes."""
    ends, planes = kind
    offsets = np.asarray(points) - [middle for middle, _ in ends.values()]
    return 10 ** (np.array(planes)[:, 0] + offsets @ np.array(planes)[:, 1:].T)


@pytest.fixture(scope="module")
def mixed() -> NebulaSimulator:
    return NebulaSimulator(grid(*HII), mixed=grid(*AGN, floor=3e-3), error=0.3, av=(0.0, 0.3))


@pytest.fixture(scope="module")
def catalogue(mixed) -> Catalogue:
    return jax.jit(lambda key: mixed.draw(key, 600))(jr.key(0))


@pytest.fixture(scope="module")
def ratios(mixed):
    """Ratios and their errors by the values of some parameters, the others at the middle."""
    call = jax.jit(lambda t: mixed.ratios(t, jnp.array(0), jnp.array(0.0)))
    usual = {"log_u": -3.0, "oh": 8.4, "av": 0.0, "mixing": 0.0, "mix_alpha": -1.5}

    def of(**changed):
        values = usual | changed
        return [np.asarray(a) for a in call(jnp.array([values[n] for n in mixed.names]))]

    return of


def test_the_second_grid_brings_its_own_parameters_and_shares_abundances(mixed):
    assert mixed.names == ("log_u", "oh", "av", "mixing", "mix_alpha")
    low, high = (np.asarray(a) for a in mixed.priors[0].bounds(jnp.zeros(5)))
    # O/H only where both grids have it
    np.testing.assert_allclose(low, [-4, 7.9, 0, 0, -2], atol=1e-6)
    np.testing.assert_allclose(high, [-2, 8.9, 0.3, 1, -1], atol=1e-6)


@pytest.mark.parametrize("oh", [7.95, 8.6])
def test_no_mixing_is_the_first_grid_and_all_of_it_the_second(ratios, oh):
    # single precision of sums of eight or sixteen terms
    first = by_hand(HII, [[-2.6, oh]])[0]
    np.testing.assert_allclose(ratios(log_u=-2.6, oh=oh, mix_alpha=-1.1)[0], first, rtol=1e-4)
    second = by_hand(AGN, [[oh, -1.1]])[0]
    for log_u in (-3.9, -2.6):
        found = ratios(log_u=log_u, oh=oh, mix_alpha=-1.1, mixing=1.0)[0]
        np.testing.assert_allclose(found, second, rtol=1e-4)


def test_fluxes_are_linear_in_the_share_of_hbeta(ratios):
    ends = [ratios(mixing=share)[0] for share in (0.0, 1.0)]
    for share in (0.1, 0.5, 0.77):
        expected = (1 - share) * ends[0] + share * ends[1]
        np.testing.assert_allclose(ratios(mixing=share)[0], expected, rtol=1e-5)
        assert ratios(mixing=share)[0][0] == pytest.approx(1)  # of one H-beta
    assert abs(ends[1][1] / ends[0][1] - 1) > 1


def test_dust_is_in_front_of_both_and_errors_are_of_the_sum(ratios):
    for share in (0.0, 0.4, 1.0):
        clear, err = ratios(mixing=share)
        dim, dim_err = ratios(mixing=share, av=1.0)
        # Cardelli et al. (1989), table 3 and equation 3: A / A(V) of H-alpha and H-beta at 3.1
        assert dim[2] / clear[2] == pytest.approx(10 ** (0.4 * (1.164 - 0.818)), rel=2e-3)
        np.testing.assert_allclose(dim_err / err, dim / clear, rtol=1e-5)
        # the interpolation of planes has no error; the floor is the coarser grid's
        expected = np.hypot(0.3 * clear * [0, 1, 1, 1, 1], 3e-3)
        np.testing.assert_allclose(err, expected, rtol=1e-3)


def test_nitrogen_and_oxygen_are_shared_with_a_first_grid_that_has_them():
    ends = HII[0] | {"no": (-1.0, 0.5)}
    both = {"no": (-0.8, 0.6), "alpha": (-1.5, 0.5)}
    first = grid(ends, [[*row, 0.8 * (i == 3)] for i, row in enumerate(HII[1])])
    sim = NebulaSimulator(first, mixed=grid(both, AGN[1]))
    assert sim.names == ("log_u", "oh", "no", "av", "mixing", "mix_alpha")
    theta = jnp.array([-3.0, 8.0, -0.9, 0.0, 1.0, -1.3])
    found = sim.ratios(theta, jnp.array(0), jnp.array(0.0))[0]
    np.testing.assert_allclose(found, by_hand((both, AGN[1]), [[-0.9, -1.3]])[0], rtol=1e-4)
    with pytest.raises(ValueError, match="expected a first grid with no from -1.4 to -0.2"):
        NebulaSimulator(grid(*HII), mixed=grid(both, AGN[1]))
    far = grid({"oh": (9.5, 0.4), "alpha": (-1.5, 0.5)}, AGN[1])
    with pytest.raises(ValueError, match="expected a first grid with oh from 9.1 to 9.9"):
        NebulaSimulator(grid(*HII), mixed=far)


def test_only_one_grid_can_be_mixed():
    two = {"HII": grid(*HII), "hot": grid(*HII)}
    with pytest.raises(ValueError, match="expected one grid to mix another with; got HII, hot"):
        NebulaSimulator(two, mixed=grid(*AGN))


def test_catalogues_of_mixed_nebulae_are_drawn_by_their_ratios(mixed, catalogue):
    """Pulls of the catalogue's fluxes from the sum by hand, at the best scale of each object."""
    theta, _, flux, err, state, dereddened = (np.asarray(a) for a in catalogue)
    p = dict(zip(mixed.names, theta.T, strict=True))
    first = by_hand(HII, np.stack([p["log_u"], p["oh"]], 1))
    second = by_hand(AGN, np.stack([p["oh"], p["mix_alpha"]], 1))
    share = p["mixing"][:, None]
    ratio = (1 - share) * first + share * second
    clear = (p["av"] * (1 - dereddened) == 0) & (state == State.MEASURED).all(1)
    assert clear.sum() > 20
    ratio, flux, err = ratio[clear], flux[clear], err[clear]
    model = np.hypot(0.3 * ratio * [0, 1, 1, 1, 1], 3e-3)
    scale = np.ones(len(ratio))
    for _ in range(20):
        weight = 1 / (err**2 + (scale[:, None] * model) ** 2)
        scale = (weight * flux * ratio).sum(1) / (weight * ratio**2).sum(1)
    square = (weight * (flux - scale[:, None] * ratio) ** 2).sum(1)
    # chi2 of 4 degrees of freedom: its mean to 4 standard errors, and a tenth for the fitted scale
    assert square.mean() == pytest.approx(4, abs=0.4 + 4 * (8 / len(square)) ** 0.5)


@pytest.mark.slow
def test_the_posterior_of_the_share_is_calibrated(mixed, catalogue):
    """By importance weights of prior draws on the likelihood: ranks of true shares are uniform."""
    column = mixed.names.index("mixing")
    guesses = mixed.priors[0].sample(jr.key(2), (5000,))

    @jax.jit
    def rank(truth, source, *data):
        ln = jax.vmap(lambda theta: mixed.log_likelihood(theta, source, *data))(guesses)
        weight = jax.nn.softmax(ln)
        return (weight * (guesses[:, column] < truth[column])).sum(), 1 / (weight**2).sum()

    count = 120
    found = [rank(*(a[i] for a in catalogue)) for i in range(count)]
    ranks, size = np.array(found).T
    assert np.median(size) > 100  # the weights are no few draws'
    distance = np.abs(np.sort(ranks) - (np.arange(count) + 0.5) / count).max() + 0.5 / count
    assert distance < 1.63 / count**0.5  # Kolmogorov and Smirnov, exceeded by one in a hundred
