"""Nebulae of many clouds against integrals and sums done by hand."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

import flowspec as fs
from flowspec.cli.arguments import parser
from flowspec.cli.grids import nebulae
from flowspec.data.line_grid import LineGrid
from flowspec.data.lines import State
from flowspec.prior.relations import nitrogen
from flowspec.sim.nebula.clouds import Clouds, shares
from flowspec.sim.nebula.grid import mappings
from flowspec.sim.nebula.mixture import CLOUDS, SULPHUR, of_element

LINES = ("[OII]3726,3729", "Hbeta", "[OIII]5007", "[OI]6300", "Halpha", "[NII]6584", "[SII]6717",
         "[SII]6731", "[SIII]9069")  # fmt: skip
NONE, FIRST = jnp.array(0.0), jnp.array(0)
# width 0.02 instead of 0, and fluxes that go linearly in steps of 0.125 dex instead of cubically:
# a line that goes with the square of U is 1 % above the cubic half way between nodes
STEPS = 0.03


@pytest.fixture(scope="module")
def sim() -> fs.MixtureSimulator:
    return fs.MixtureSimulator(mappings(), LINES)


@pytest.fixture(scope="module")
def flux(sim):
    """Fluxes by the values of some parameters, the others usual, without dust."""
    call = jax.jit(lambda t: sim.ratios(t, FIRST, NONE)[0])
    usual = {"log_u": -3.0, "log_pk": 6.0, "oh": 8.5, "av": 0.0, "log_u_width": 0.3,
             "log_u_skew": 0.0, "log_pk_width": 0.2, "no": float(nitrogen(8.5)),
             "so": SULPHUR}  # fmt: skip

    def of(**changed):
        values = usual | changed
        return np.asarray(call(jnp.array([values[n] for n in sim.names])))

    return of


@pytest.mark.parametrize("mean, width, skew", [
    (-3.0, 0.3, 0.0), (-3.0, 0.3, 0.6), (-2.6, 0.8, -0.8), (-3.9, 0.02, 0.0),
])  # fmt: skip
def test_shares_integrate_any_broken_line(mean, width, skew):
    """Against draws of the two halves of a normal distribution that meet at its mode."""
    nodes, rng = np.linspace(-4, -2, 17), np.random.default_rng(0)
    low, high = width * (1 - skew), width * (1 + skew)
    above, size = rng.uniform(size=400_000) < (1 + skew) / 2, np.abs(rng.normal(size=400_000))
    x = np.where(above, high * size, -low * size)
    x += mean - np.sqrt(2 / np.pi) * (high - low)
    assert x.mean() == pytest.approx(mean, abs=5 * x.std() / 400_000**0.5)
    values = rng.uniform(size=17)
    weight = np.asarray(shares(jnp.array(nodes), *map(jnp.array, (mean, width, skew))))
    drawn = np.interp(x, nodes, values)
    assert weight @ values == pytest.approx(drawn.mean(), abs=5 * drawn.std() / 400_000**0.5)
    assert weight.sum() == pytest.approx(1, abs=1e-5) and weight.min() > -1e-5


def test_clouds_alike_are_one_cloud(flux):
    one = fs.NebulaSimulator(mappings(), LINES)
    for log_u, log_pk, oh in ((-3.3, 5.7, 8.1), (-2.5, 6.4, 8.8)):
        theta = {"log_u": log_u, "log_pk": log_pk, "oh": oh, "av": 0.0}
        expected = one.ratios(jnp.array([theta[n] for n in one.names]), FIRST, NONE)[0]
        found = flux(log_u=log_u, log_pk=log_pk, oh=oh, no=float(nitrogen(oh)), log_u_width=0.02,
                     log_pk_width=0.02)  # fmt: skip
        np.testing.assert_allclose(found, np.asarray(expected), rtol=STEPS)


def test_a_mixture_is_the_sum_of_its_clouds(flux):
    """Gauss-Hermite quadrature over log U of the grid's own fluxes at one of its nodes."""
    grid = mappings().select(LINES)
    pk, oh = grid.axes[1][2], grid.axes[2][6]
    at = (np.abs(grid.points[:, 1] - pk) < 1e-6) & (np.abs(grid.points[:, 2] - oh) < 1e-6)
    log_u, own = grid.points[at, 0], np.log10(np.maximum(grid.flux[at], grid.floor))
    x, weight = np.polynomial.hermite_e.hermegauss(60)
    clouds = 10 ** PchipInterpolator(log_u, own)(np.clip(-3.1 + 0.35 * x, -4, -2))
    expected = weight @ clouds / weight.sum()
    found = flux(log_u=-3.1, log_u_width=0.35, log_pk=pk, log_pk_width=0.02, oh=oh,
                 no=float(nitrogen(oh)))  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=STEPS)


def test_lines_go_with_the_abundances_that_the_grid_has_not(flux):
    usual, more = flux(), flux(no=float(nitrogen(8.5)) + 0.3, so=SULPHUR - 0.2)
    change = np.log10(more / usual)
    np.testing.assert_allclose(change, [0, 0, 0, 0, 0, 0.3, -0.2, -0.2, -0.2], atol=1e-5)
    assert of_element("N", ("[NeIII]3869", "[NII]5755", "NIII]1750", "[NI]5198")).tolist() == [
        0, 1, 1, 1]  # fmt: skip
    assert of_element("S", ("[SIII]9069", "SiIII]1892", "HeI5876")).tolist() == [1, 0, 0]


def test_slopes_are_the_derivatives(sim):
    theta = sim.priors[0].to_constrained(jnp.full(len(sim.names), 0.1))
    ln_flux = jax.jit(lambda t: jnp.log(sim.ratios(t, FIRST, NONE)[0]))
    assert set(sim.slopes) == {"av", "no", "so"}
    for name, slope in sim.slopes.items():
        moved = theta.at[sim.names.index(name)].add(0.1)
        np.testing.assert_allclose((ln_flux(moved) - ln_flux(theta)) / 0.1, slope, atol=1e-4)


def grid(ends, slopes) -> LineGrid:
    """Of planes of log10 flux, with H-beta."""
    axes = [np.linspace(low, high, 5) for low, high in ends.values()]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(ends))
    flux = 10 ** ((points - points.mean(0)) @ np.array(slopes).T)
    return LineGrid(points, flux, tuple(ends), ("Hbeta", "[NII]6584", "[OIII]5007"), 1e-5, "here")


FLAT = [[0.0] * 3, [0.2, 0.9, -0.1], [0.1, 0.0, 0.5]]


def test_two_gases_have_clouds_of_their_own_and_one_composition():
    first = grid({"oh": (8.0, 9.0), "no": (-1.5, -0.5), "log_u": (-4.0, -2.0)}, FLAT)
    second = grid({"oh": (8.2, 9.0), "no": (-1.4, -0.4), "log_u": (-3.0, -1.0)}, FLAT)
    sim = fs.MixtureSimulator(first, mixed=second)
    assert sim.names == ("oh", "no", "log_u", "av", "log_u_width", "log_u_skew", "so", "mixing",
                         "mix_log_u", "mix_log_u_width", "mix_log_u_skew")  # fmt: skip
    assert sim.priors[0].limits("no") == pytest.approx((-1.4, -0.5))
    theta = {"oh": 8.5, "no": -1.0, "log_u": -3.0, "av": 0.0, "log_u_width": 0.3,
             "log_u_skew": 0.0, "so": SULPHUR, "mix_log_u": -2.4, "mix_log_u_width": 0.1,
             "mix_log_u_skew": 0.0}  # fmt: skip

    def of(share):
        return sim.ratios(jnp.array([(theta | {"mixing": share})[n] for n in sim.names]), FIRST,
                          NONE)[0]  # fmt: skip

    np.testing.assert_allclose(of(0.3), 0.7 * of(0.0) + 0.3 * of(1.0), rtol=1e-5)
    columns = {n: sim.names.index(n if n in ("oh", "no") else f"mix_{n}")
               for n in (*second.names, "log_u_width", "log_u_skew")}  # fmt: skip
    own = Clouds(second, columns)(jnp.array([(theta | {"mixing": 1.0})[n] for n in sim.names]))
    np.testing.assert_allclose(of(1.0), own, rtol=1e-5)


def test_catalogues_follow_the_likelihood(sim):
    """Fluxes of drawn rows scatter about those of their parameters as errors and models say."""
    drawn = jax.jit(lambda key: sim.flat(sim.simulate(key, 500)))(jr.key(1))
    ratio, model_err = jax.jit(jax.vmap(sim.ratios))(drawn.theta, drawn.source, drawn.dereddened)
    flux, err, ratio, model = (np.asarray(a) for a in (drawn.flux, drawn.err, ratio, model_err))
    good = (np.asarray(drawn.state) == State.MEASURED).all(1)
    flux, err, ratio, model = (a[good] for a in (flux, err, ratio, model))
    scale = np.ones(len(ratio))
    for _ in range(20):
        weight = 1 / (err**2 + (scale[:, None] * model) ** 2)
        scale = (weight * flux * ratio).sum(1) / (weight * ratio**2).sum(1)
    square = (weight * (flux - scale[:, None] * ratio) ** 2).sum(1)
    free = len(LINES) - 1
    # its mean to 4 standard errors, and a tenth for the scale
    assert square.mean() == pytest.approx(free, abs=free / 10 + 4 * (2 * free / len(square)) ** 0.5)


def test_what_is_no_grid_of_clouds_is_refused():
    alpha = grid({"oh": (8.0, 9.0), "no": (-1.5, -0.5), "alpha": (-2.0, -1.0)}, FLAT)
    with pytest.raises(ValueError, match="a regular grid .* over one of log_u, log_pk, log_n"):
        fs.MixtureSimulator(alpha)
    poor = grid({"z": (8.0, 9.0), "no": (-1.5, -0.5), "log_u": (-4.0, -2.0)}, FLAT)
    with pytest.raises(ValueError, match="expected a grid over oh; got z, no, log_u"):
        fs.MixtureSimulator(poor)


def test_errors_are_of_each_line():
    lines = ("Hbeta", "[OIII]5007", "Halpha")
    errors = fs.LineErrors(lines, np.array([0.0, 0.2, 0.0]), np.array([0.0, 0.3, 0.05]))
    sim = fs.NebulaSimulator(mappings(), lines[::-1], error=errors)
    plain = fs.NebulaSimulator(mappings(), lines[::-1])
    theta = plain.priors[0].to_constrained(jnp.zeros(len(plain.names)))
    (found, err), (usual, _) = (s.ratios(theta, FIRST, NONE) for s in (sim, plain))
    np.testing.assert_allclose(found, usual * np.exp([0.0, 0.2, 0.0]), rtol=1e-5)
    share = np.hypot([0.05, 0.3, 0.0], np.asarray(sim.interpolation[0]) * [1, 1, 0])
    np.testing.assert_allclose(err, np.hypot(found * share, mappings().floor), rtol=1e-4)
    again = plain.with_errors(errors).ratios(theta, FIRST, NONE)
    np.testing.assert_allclose(again, (found, err), rtol=1e-6)
    with pytest.raises(ValueError, match=r"expected errors of \[OIII\]5007; got those of Hbeta"):
        plain.with_errors(errors.of(("Hbeta", "Halpha")))


def test_the_command_line_makes_either_kind():
    def made(*words):
        args = ["fit", "--grid", "mappings", "--lines", *LINES, "-o", "m", *words]
        return nebulae(parser().parse_args(args))

    for name, kind in CLOUDS.items():
        assert type(made("--clouds", name)) is kind
    np.testing.assert_allclose(made().errors.spread, fs.LineErrors.alike(LINES, 0.1).spread)
    usual = fs.LineErrors.usual(LINES).spread
    np.testing.assert_allclose(made("--clouds", "mixture").errors.spread, usual, rtol=1e-6)
    told = made("--clouds", "mixture", "--model-error", "0.2").errors.spread
    np.testing.assert_allclose(told, fs.LineErrors.alike(LINES, 0.2).spread, rtol=1e-6)
