"""Classifier two-sample tests: can a small network tell two sets of draws apart?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Float

from flowspec.data.seeds import key_of

_FOLDS = 5
_STEPS, _BATCH, _RATE = 1500, 200, 1e-3


def c2st(
    first: Float[np.ndarray, "n params"], second: Float[np.ndarray, "others params"], seed: int = 0
) -> float:
    """Accuracy of a classifier on held-out draws: 0.5 where the two are alike, 1 where disjoint.

    As in sbibm (Lopez-Paz & Oquab 2017; Lueckmann et al. 2021, arXiv:2101.04653): draws
    standardised by the first set, two hidden layers of ten times the dimension, rectified, Adam,
    batches of 200, five-fold cross-validation; here always for as many steps, all folds at once.

    Args:
        first: Draws of one distribution.
        second: As many of the other.
        seed: Of the folds and the networks.

    Raises:
        ValueError: If the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"expected as many draws of each; got {first.shape} and {second.shape}")
    centre, scale = first.mean(0), first.std(0) + 1e-12
    x = (np.concatenate([first, second]) - centre) / scale
    y = np.repeat([0.0, 1.0], len(first))
    order = np.random.default_rng(seed).permutation(len(x) // _FOLDS * _FOLDS)
    folds = order.reshape(_FOLDS, -1)
    train = np.stack([np.concatenate(np.delete(folds, i, axis=0)) for i in range(_FOLDS)])
    arrays = (jnp.asarray(a, jnp.float32) for a in (x, y))
    return float(_accuracies(*arrays, train, folds, key_of(seed)).mean())


@jax.jit
def _accuracies(x, y, train, test, key):
    dims = x.shape[1]
    optimiser = optax.adam(_RATE)

    def fold(train, test, key):
        own, rows = jr.split(key)
        net = eqx.nn.MLP(dims, "scalar", 10 * dims, 2, jax.nn.relu, key=own)
        params, static = eqx.partition(net, eqx.is_array)
        batches = jr.randint(rows, (_STEPS, _BATCH), 0, len(train))

        def loss(params, at):
            logits = jax.vmap(eqx.combine(params, static))(x[at])
            return optax.sigmoid_binary_cross_entropy(logits, y[at]).mean()

        def step(carry, batch):
            params, state = carry
            updates, state = optimiser.update(jax.grad(loss)(params, train[batch]), state)
            return (optax.apply_updates(params, updates), state), None

        (params, _), _ = jax.lax.scan(step, (params, optimiser.init(params)), batches)
        logits = jax.vmap(eqx.combine(params, static))(x[test])
        return ((logits > 0) == (y[test] > 0.5)).mean()

    return jax.vmap(fold)(train, test, jr.split(key, _FOLDS))
