"""NebulaBayes (Thomas et al. 2018, ApJ 856, 89) on the same grid, lines, fluxes and errors.

Its version 0.9.9 wants functions that scipy and numpy have renamed, and cannot read its own grid
file with present astropy: it gets the names back, and the same MAPPINGS grid as a table. ``pip
install ".[peers]"``.
"""

import time

import numpy as np
import scipy.integrate

from flowspec.lines import Lines
from flowspec.sim.grid import LineGrid, mappings
from flowspec.sim.nebula_lines import REFERENCE, NebulaSimulator

SHAPE = (80, 40, 80)  # of its interpolated grid; parameters in the order of `mappings`
ERROR = 0.1  # of the models, as a share of the flux: the default of both
WELL = 0.15  # a parameter is well constrained where its sigma is below this share of its range


def nebulabayes_model(grid: LineGrid):
    """Its model of a grid, interpolated cubically to `SHAPE`."""
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
        interpd_grid_shape=list(SHAPE), interp_order=3, grid_error=ERROR,
    )  # fmt: skip


def compare(posterior, sim: NebulaSimulator, objects: int, seed: int) -> dict:
    """Medians and widths of both on dereddened mock objects with every line but limits.

    Args:
        posterior: Of the MAPPINGS grid.
        sim: Its simulator.
        objects: How many.
        seed: Random seed.
    """
    grid = mappings().select(posterior.lines)
    theta, obs = dereddened_mocks(sim, objects, seed)
    peer = nebulabayes_model(grid)
    names = list(grid.names)
    theirs, began = [], time.perf_counter()
    for i in range(objects):
        result = peer(list(map(float, obs.flux[i])), list(map(float, obs.err[i])),
                      list(obs.lines), norm_line=REFERENCE, verbosity="ERROR")
        pdfs, spec = result.Posterior.marginalised_1D, result.Posterior.Grid_spec
        axes = dict(zip(spec.param_names, spec.param_values_arrs, strict=True))
        theirs.append([percentiles(axes[n], pdfs[n]) for n in names])
    their_seconds = (time.perf_counter() - began) / objects
    theirs = np.array(theirs)  # [objects, params, 3]
    columns = [posterior.names.index(n) for n in names]
    many = obs[np.arange(4096) % objects]
    posterior.sample(many, 1000, dereddened=True)
    began = time.perf_counter()
    drawn = posterior.sample(many, 1000, dereddened=True)[:, :objects, columns]
    our_seconds = (time.perf_counter() - began) / len(many)
    refined = posterior.refine(obs, sim.log_likelihood, 2000, dereddened=True).samples[..., columns]
    results = {"objects": objects, "ratio of speeds": their_seconds / our_seconds,
               "seconds per object, NebulaBayes": their_seconds, "flowspec": our_seconds}
    span = np.ptp(grid.points, axis=0)
    for title, samples in (("flow", drawn), ("refined", refined)):
        ours = np.moveaxis(np.percentile(samples, [16, 50, 84], axis=0), 0, -1)
        sigma = (theirs[..., 2] - theirs[..., 0]) / 2
        well = sigma < WELL * span
        away = (ours[..., 1] - theirs[..., 1]) / sigma
        width = (ours[..., 2] - ours[..., 0]) / 2 / sigma
        for j, name in enumerate(names):
            rows = well[:, j]
            results[f"{title}, {name}"] = {
                "well constrained": int(rows.sum()),
                "median of abs(difference of medians) over sigma":
                    float(np.median(np.abs(away[rows, j]))),
                "mean difference over sigma": float(away[rows, j].mean()),
                "median ratio of widths": float(np.median(width[rows, j])),
            }  # fmt: skip
    return results


def dereddened_mocks(sim: NebulaSimulator, count: int, seed: int) -> tuple[np.ndarray, Lines]:
    """Objects without dust with every line measured at 3 to 50 times its error, H-beta at 50, and
    above zero, as NebulaBayes wants them."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(seed)
    theta = np.asarray(sim.priors[0].sample(jax.random.key(seed), (4 * count,)))
    one = jnp.ones(())
    ratios = jax.jit(jax.vmap(lambda t: sim.ratios(t, jnp.int32(0), one)))(theta)
    flux, model_err = (np.asarray(a, float) for a in ratios)
    snr = np.exp(rng.uniform(np.log(3), np.log(50), flux.shape))
    reference = sim.lines.index(REFERENCE)
    snr[:, reference] = 50
    err = np.maximum(flux, 1e-3) / snr
    measured = flux + rng.normal(size=flux.shape) * np.hypot(err, model_err)
    rows = np.flatnonzero((measured > 0).all(1))[:count]
    return theta[rows], Lines(sim.lines, measured[rows], err[rows])


def percentiles(x: np.ndarray, pdf: np.ndarray) -> np.ndarray:
    """16th, 50th and 84th percentile of a density on even nodes."""
    total = scipy.integrate.cumulative_trapezoid(pdf, x, initial=0)
    return np.interp([0.16, 0.5, 0.84], total / total[-1], x)
