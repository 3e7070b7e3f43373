"""Why a loss is not finite: the simulations, their prior, or the steps that were taken."""

from collections.abc import Iterable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from flowspec.sim.simulated import Simulated, failed
from flowspec.train.settings import Training


def cause(
    model, simulator, config: Training, key: PRNGKeyArray, steps: Iterable[int]
) -> str:
    """What made a loss NaN or infinite in one of some steps, in words.

    The batches of the steps are made again, and the first bad one is to blame; where all are good
    it is the training.

    Args:
        model: That was trained; with a `frame` and a `space` where batches are `Simulated`.
        simulator: Whose `batch` was trained on.
        config: How.
        key: Random key of the training.
        steps: Numbers of the steps.
    """
    batch = eqx.filter_jit(lambda sim, key, step: sim.batch(key, step, config.batch))
    for step in steps:
        rows = batch(simulator, key, jnp.int32(step))
        if not isinstance(rows, Simulated):  # observations too, which are finite
            break
        coded = model.space.encode(rows.theta, rows.source)
        outside = ~np.asarray(jnp.isfinite(coded.free).all(-1) & jnp.isfinite(coded.log_det))
        for bad, what in (
            (np.asarray(failed(rows, model.frame)), "which gives no finite batch"),
            (outside, "whose parameters are outside its own prior"),
        ):
            if bad.any():
                theta = np.asarray(rows.theta)[np.argmax(bad)]
                such = ", ".join(f"{n} = {x:.4g}" for n, x in
                                 zip(model.space.names, theta, strict=True))
                return f"{type(simulator).__name__}, {what} at step {step}, such as {such}"
    return (f"the training, as all simulations are finite: try a learning rate below "
            f"{config.learning_rate:g}")
