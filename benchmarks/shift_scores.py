"""Scores of posteriors of observations that are not as simulated; labels enter here alone."""

import jax.numpy as jnp
import numpy as np

import flowspec as fs
from flowspec.adaptation.choose import ALIGNMENTS, Candidate, explore
from flowspec.adaptation.gap import Gap
from flowspec.adaptation.judge import Task
from flowspec.sim.simulator import Simulated, Simulator

QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)
FLOOR = -20.0  # of a log density: one lost object must not be the mean


def scores(samples: np.ndarray, log_prob: np.ndarray, theta: np.ndarray, scale: np.ndarray) -> dict:
    """Figures of one set of posteriors.

    Args:
        samples: Draws [n, objects, params].
        log_prob: Log posterior density of the truth [objects].
        theta: The truth [objects, params].
        scale: Standard deviation of each parameter, in units of which errors are given [params].

    Returns:
        Normalised root mean square error of the median, mean over parameters; median of
        ``|median - truth| / sigma`` with sigma half of the 68 % interval (0.67 where calibrated);
        shares inside the 68 and 95 % intervals, means over parameters; mean log density, each at
        least `FLOOR`.
    """
    low, p16, p50, p84, high = np.quantile(samples, QUANTILES, axis=0)
    error = p50 - theta
    return {
        "nrmse": float((np.sqrt((error**2).mean(0)) / scale).mean()),
        "bias": float(np.median(np.abs(error) / np.maximum((p84 - p16) / 2, 1e-12))),
        "in_68": float(((theta > p16) & (theta < p84)).mean()),
        "in_95": float(((theta > low) & (theta < high)).mean()),
        "log_q": float(np.maximum(log_prob, FLOOR).mean()),
    }


def summary(runs: list[dict]) -> dict:
    """Mean over runs of every number, and under its name and "+-" the standard deviation.

    Dictionaries are summed up in turn, texts joined by commas, lists left out.
    """
    out = {}
    for key, first in runs[0].items():
        values = [run[key] for run in runs]
        if isinstance(first, dict):
            out[key] = summary(values)
        elif isinstance(first, str):
            out[key] = ", ".join(values)
        elif not isinstance(first, list):
            out[key] = float(np.mean(values))
            out[f"{key} +-"] = float(np.std(values, ddof=min(1, len(values) - 1)))
    return out


def explored(
    post: fs.Posterior, simulator: Simulator, validation: Simulated, obs: fs.Spectra, key,
    training: fs.Training, adaptation: fs.Adaptation, *, fixed: bool = False,
) -> tuple[list[Candidate], Gap]:  # fmt: skip
    """All candidates of all methods of alignment, and the gap of the data
    (`flowspec.adaptation.choose`): what `flowspec.adapt` sees, once for every method.

    Args:
        post: Trained on simulations alone.
        simulator: Of these.
        validation: Held-out simulations.
        obs: Observations without labels, on the grid of the model, in random order.
        key: Random key.
        training: Of the model.
        adaptation: How to adapt.
        fixed: Whether the held-out simulations are all there are to judge on.
    """
    observed = tuple(map(jnp.asarray, post.model.frame.arrays(obs)))
    task = Task(
        post, simulator, validation, fixed, obs, observed, key, training, adaptation, False
    )
    return explore(post.model, task, ALIGNMENTS, "none")
