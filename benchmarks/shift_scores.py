"""Scores of posteriors of observations that are not as simulated; labels enter here alone."""

from dataclasses import replace

import numpy as np

from flowspec.adaptation.choose import ALIGNMENTS, DRAWS, Task, explore
from flowspec.adaptation.injection import Injected
from flowspec.data.continuum import broad_features

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
    """Mean and standard deviation over seeds of every number."""
    numbers = [k for k, v in runs[0].items() if isinstance(v, float)]
    out = {}
    for key in numbers:
        values = np.array([run[key] for run in runs])
        out[key], out[f"{key}_sd"] = float(values.mean()), float(values.std(ddof=len(runs) > 1))
    return out


def explored(post, simulator, validation, obs, key, training, adaptation):
    """All candidates of all methods of alignment, and the gap of the data
    (`flowspec.adaptation.choose`).

    Args:
        post: Trained on simulations alone.
        simulator: Of these.
        validation: Held-out simulations.
        obs: Observations without labels, on the grid of the model.
        key: Random key.
        training: Of the model.
        adaptation: How to adapt.
    """
    task = Task(
        simulator, validation, (obs.flux, obs.ivar), key,
        lambda model: replace(post, model=model).sample(obs, DRAWS), broad_features,
        Injected.measured, training, adaptation, False,
    )  # fmt: skip
    return explore(post.model, task, ALIGNMENTS, False)
