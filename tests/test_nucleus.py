"""Narrow lines of active nuclei beside those of star formation."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import ndtri

from flowspec.sim.galaxy import nebula, nucleus
from flowspec.sim.galaxy.simulator import GalaxySimulator

TABLE = nucleus.load_nucleus()


@pytest.fixture(scope="module")
def sdss():
    return GalaxySimulator("sdss", nuisances=("nucleus",))


def kewley(log_n2):
    """log [O III]/Hb of the extreme starbursts of Kewley et al. (2001, ApJ 556, 121)."""
    return 0.61 / (log_n2 - 0.47) + 1.19


def bpt(log_ratio, names):
    """log [N II]/Ha and log [O III]/Hb."""
    at = dict(zip(names, np.asarray(log_ratio), strict=True))
    return at["NII6583"] - at["Halpha"], at["OIII5007"] - at["Hbeta"]


def test_nuclei_lie_above_the_extreme_starbursts_and_star_formation_below():
    formed = nebula.load_nebula()
    for oh in (8.76, 8.99, 9.16):
        for log_u in (-3.4, -2.6, -1.8):
            x, y = bpt(nucleus.nuclear_ratios(TABLE, log_u, 6.6, oh, -1.25), TABLE.names)
            assert x > 0.3 or y > kewley(x), (oh, log_u, x, y)
        for log_u in (-3.5, -3.0, -2.5):
            x, y = bpt(nebula.line_ratios(formed, log_u, oh), formed.names)
            assert x < 0.3 and y < kewley(x), (oh, log_u, x, y)


def test_ratios_at_nodes_are_those_of_the_grid():
    got = nucleus.nuclear_ratios(TABLE, TABLE.log_u[2], TABLE.log_pk[1], TABLE.oh[4],
                                 TABLE.log_e_peak[0])  # fmt: skip
    np.testing.assert_allclose(got, TABLE.log_flux[2, 1, 4, 0], atol=1e-5)
    # by hand from the row of NB_NLR_grid.fits.gz at log U -3.0, log P/k 6.6, 8.605, -1.75
    known = {"OIII5007": 5.582, "NII6583": 0.7503, "OI6300": 0.1998}
    for name, flux in known.items():
        np.testing.assert_allclose(10 ** got[TABLE.names.index(name)], flux, rtol=1e-3)


@pytest.mark.parametrize(("log_ratio", "share"), [(nucleus.NONE, 0.0), (0.0, 0.5), (8.0, 1.0)])
def test_fluxes_of_both_sources_add(log_ratio, share):
    formed, nuclear = jnp.array([0.0, -1.0, 0.3]), jnp.array([0.0, 0.5, 1.1])
    got = 10 ** nucleus.mixed(formed, nuclear, log_ratio)
    np.testing.assert_allclose(got, (1 - share) * 10**formed + share * 10**nuclear, rtol=1e-5)
    if share < 1:
        np.testing.assert_allclose(10 ** nucleus.log_gain(log_ratio), 1 / (1 - share), rtol=1e-5)


def test_most_galaxies_have_no_nucleus_to_speak_of_and_a_few_are_dominated_by_one():
    def share(quantile):
        log_ratio = nucleus.nucleus_of(jnp.array([ndtri(quantile), 0.0, 0.0, 0.0]))[0]
        return 1 / (1 + 10**-log_ratio)

    np.testing.assert_allclose(share(0.75), 0.02, atol=0.002)
    np.testing.assert_allclose(share(0.95), 0.5, atol=0.02)
    assert 0.9 < share(0.995) < 0.981 and share(0.9999) < 0.981


def test_a_nucleus_adds_its_lines_to_those_of_star_formation(sdss):
    """Power of lines in the simulator: neutral without a nucleus, the grid's with little else."""
    theta = jnp.array([0.05, 10.5, 0.0, 0.5, 0.0, 0.0, -3.0, 8.76, 120.0])
    p = sdss.parameters(theta)

    def power(latent):
        return np.asarray(sdss.line_power(p, sdss.nuisances_of(jnp.array(latent), theta)))

    halpha = sdss.nebula.names.index("Halpha")
    formed = nebula.line_ratios(sdss.nebula, -3.0, 8.76)
    quiet = power([-9.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(quiet / quiet[halpha], 10**formed, rtol=1e-4)
    bright = power([9.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(bright[halpha] / quiet[halpha], 1 + 10**1.7, rtol=0.01)
    nuclear = nucleus.nuclear_ratios(sdss.nucleus, -2.6, 6.6, 8.76, -1.25)
    strong = np.asarray(formed) > -3  # of others the nucleus has all
    ratio = (bright - quiet)[strong] / (bright - quiet)[halpha]
    np.testing.assert_allclose(ratio, 10 ** np.asarray(nuclear)[strong], rtol=1e-3)


def test_lines_without_a_nucleus_are_as_faint_as_the_floor(sdss):
    both = nebula.load_nebula().with_lines(TABLE.names, TABLE.wave)
    assert (np.diff(both.wave) >= 0).all() and set(both.names) == set(TABLE.names)
    assert (both.log_flux[..., both.names.index("NeV3426")] == nebula.FLOOR).all()
    old = nebula.load_nebula()
    same = [both.names.index(n) for n in old.names]
    np.testing.assert_array_equal(both.log_flux[..., same], old.log_flux)
    assert "NeV3426" in sdss.nebula.names and sdss.nucleus.names == sdss.nebula.names
