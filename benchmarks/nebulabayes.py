"""NebulaBayes (Thomas et al. 2018, ApJ 856, 89) on the same grid, lines, fluxes and errors.

It interpolates fluxes, flowspec their logarithms: it is given flowspec's fluxes at all nodes of its
fine grid ("same fluxes"), and, to see what that matters, the nodes of MAPPINGS ("own
interpolation"). What flowspec takes for the error of the interpolation goes into its errors. Its
version 0.9.9 wants functions that scipy and numpy have renamed, and cannot read its own grid
file with present astropy: it gets the names back, and the same MAPPINGS grid as a table. ``pip
install ".[peers]"``.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate

import flowspec as fs
from flowspec.data.line_grid import LineGrid
from flowspec.sim.nebula.catalogues import REFERENCE
from flowspec.sim.nebula.grid import mappings
from flowspec.sim.nebula.interpolate import interpolator

SHAPE = (100, 30, 120)  # of its interpolated grid; parameters in the order of `mappings`
ERROR = 0.1  # of the models, as a share of the flux: the default of both
WELL = 0.15  # a parameter is well constrained where its sigma is below this share of its range


def nebulabayes_model(grid: LineGrid, order: int):
    """Its model of a grid, interpolated to `SHAPE` by polynomials of an order."""
    scipy.integrate.cumtrapz = scipy.integrate.cumulative_trapezoid
    scipy.integrate.simps = scipy.integrate.simpson
    old = {"product": np.prod, "trapz": np.trapezoid, "str": str, "float": float, "int": int}
    for name, value in old.items():
        setattr(np, name, value)
    import NebulaBayes
    import pandas

    table = pandas.DataFrame(np.column_stack([grid.points, grid.flux]).astype(float),
                             columns=[*grid.names, *grid.lines])
    return NebulaBayes.NB_Model(
        table, grid_params=list(grid.names), line_list=list(grid.lines),
        interpd_grid_shape=list(SHAPE), interp_order=order, grid_error=ERROR,
    )  # fmt: skip


def fine_grid(grid: LineGrid) -> LineGrid:
    """The grid as flowspec interpolates it, at the nodes of `SHAPE`."""
    ends = zip(grid.axes, SHAPE, strict=True)
    axes = np.meshgrid(*(np.linspace(a[0], a[-1], n) for a, n in ends), indexing="ij")
    points = np.stack(axes, -1).reshape(-1, len(SHAPE))
    flux = 10 ** jax.jit(jax.vmap(interpolator(grid)))(jnp.asarray(points, jnp.float32))
    return LineGrid(points, np.asarray(flux, float), grid.names, grid.lines, grid.floor, "fine")


def compare(posterior, sim: fs.NebulaSimulator, objects: int, seed: int) -> dict:
    """Medians and widths of both on dereddened mock objects with every line but limits.

    Args:
        posterior: Of the MAPPINGS grid.
        sim: Its simulator.
        objects: How many.
        seed: Random seed.
    """
    grid = mappings().select(posterior.lines)
    obs = dereddened_mocks(sim, objects, seed)
    columns = [posterior.names.index(n) for n in grid.names]
    options = {"dereddened": True, "seed": seed}
    ours = {
        "flow": posterior.sample(obs, 4000, **options),
        "refined": posterior.refine(obs, sim.log_likelihood, 4000, draws=16000, **options).samples,
    }
    rates = {f"{draws} draws": our_rate(posterior, obs, draws) for draws in (100, 1000)}
    results = {"objects": objects, "nodes of NebulaBayes": int(np.prod(SHAPE))}
    for title, peer in (("same fluxes", nebulabayes_model(fine_grid(grid), 1)),
                        ("own interpolation", nebulabayes_model(grid, 3))):
        theirs, seconds = their_percentiles(peer, sim, obs, grid.names)
        results[title] = {
            name: agreement(theirs, samples[..., columns], grid) for name, samples in ours.items()
        } | {"seconds per object": seconds}
        results[title] |= {f"ratio of speeds, {n}": rate * seconds for n, rate in rates.items()}
    return results | {f"objects per second, {n}": rate for n, rate in rates.items()}


def their_percentiles(peer, sim, obs: fs.Lines, names) -> tuple[np.ndarray, float]:
    """16th, 50th and 84th percentiles [objects, params, 3] of NebulaBayes, and its seconds for each
    object."""
    more = np.asarray(sim.model_err[0]) ** 2 - ERROR**2
    more[sim.lines.index(REFERENCE)] = 0
    errors = np.sqrt(obs.err**2 + np.maximum(more, 0) * obs.flux**2)
    found, began = [], time.perf_counter()
    for flux, err in zip(obs.flux, errors, strict=True):
        result = peer(list(map(float, flux)), list(map(float, err)), list(obs.lines),
                      norm_line=REFERENCE, verbosity="ERROR")
        pdfs, spec = result.Posterior.marginalised_1D, result.Posterior.Grid_spec
        axes = dict(zip(spec.param_names, spec.param_values_arrs, strict=True))
        found.append([percentiles(axes[n], pdfs[n]) for n in names])
    return np.array(found), (time.perf_counter() - began) / len(obs)


def our_rate(posterior, obs: fs.Lines, draws: int) -> float:
    """Objects per second, percentiles included, once compiled."""
    many = obs[np.arange(8192) % len(obs)]
    posterior.summarize(many, n=draws, dereddened=True)
    began = time.perf_counter()
    posterior.summarize(many, n=draws, dereddened=True)
    return len(many) / (time.perf_counter() - began)


def agreement(theirs: np.ndarray, samples: np.ndarray, grid: LineGrid) -> dict:
    """Of our draws [n, objects, params] with their percentiles, for each parameter."""
    ours = np.moveaxis(np.percentile(samples, [16, 50, 84], axis=0), 0, -1)
    sigma = (theirs[..., 2] - theirs[..., 0]) / 2
    well = sigma < WELL * np.ptp(grid.points, axis=0)
    away = (ours[..., 1] - theirs[..., 1]) / sigma
    width = (ours[..., 2] - ours[..., 0]) / 2 / sigma
    return {
        name: {
            "well constrained": int(well[:, j].sum()),
            "median of abs(difference of medians) over sigma":
                float(np.median(np.abs(away[well[:, j], j]))),
            "mean difference over sigma": float(away[well[:, j], j].mean()),
            "median ratio of widths": float(np.median(width[well[:, j], j])),
        }
        for j, name in enumerate(grid.names)
    }  # fmt: skip


def dereddened_mocks(sim: fs.NebulaSimulator, count: int, seed: int) -> fs.Lines:
    """Objects without dust with every line measured at 3 to 50 times its error and above zero, as
    NebulaBayes wants them; H-beta, to which it normalises, at 300."""
    rng = np.random.default_rng(seed)
    theta = np.asarray(sim.priors[0].sample(jax.random.key(seed), (4 * count,)))
    one = jnp.ones(())
    ratios = jax.jit(jax.vmap(lambda t: sim.ratios(t, jnp.int32(0), one)))(theta)
    flux, model_err = (np.asarray(a, float) for a in ratios)
    snr = np.exp(rng.uniform(np.log(3), np.log(50), flux.shape))
    reference = sim.lines.index(REFERENCE)
    snr[:, reference] = 300
    err = np.maximum(flux, 1e-3) / snr
    measured = flux + rng.normal(size=flux.shape) * np.hypot(err, model_err)
    rows = np.flatnonzero((measured > 0).all(1))[:count]
    return fs.Lines(sim.lines, measured[rows], err[rows])


def percentiles(x: np.ndarray, pdf: np.ndarray) -> np.ndarray:
    """16th, 50th and 84th percentile of a density on even nodes."""
    total = scipy.integrate.cumulative_trapezoid(pdf, x, initial=0)
    return np.interp([0.16, 0.5, 0.84], total / total[-1], x)
