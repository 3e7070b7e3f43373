"""Draws and densities of many rows: two plans, for few classes and for many.

With few classes (sources, or one) the condition at every class of a row is worked out, and all
draws of a row are pushed at once. With many (redshift bins) conditions are worked out once per
distinct pair of a row and a class that was drawn. Draws depend on the seed and on a row's number
or name only, not on how the input is cut up.
"""

import math
from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, UInt32
from tqdm import tqdm

from flowspec.data.observation import blocks, padded
from flowspec.data.seeds import key_of
from flowspec.model.model import Model
from flowspec.networks.network import Embedding

_DENSE = 12  # distinct classes per row from which preparing all of them is cheaper
_NUMBERS = 1 << 20  # of one array of data that is embedded at once
_ROWS = {True: 1024, False: 256}  # embedded at once, of few classes and of many
_PAIRS = 1024  # (row, class) pairs conditioned at once, and the least draws compiled
# draws of many classes and of few pushed at once: what is in between stays in the cache
_BLOCK, _AT_ONCE = 4096, 16384


class Chunk(NamedTuple):
    """What was computed of a part of the input.

    Attributes:
        rows: Numbers of its rows; the last one repeated up to a size that was compiled.
        count: How many of these are rows of the input.
        embedding: Of all of them.
        data: Arrays of the frame that it was made of.
    """

    rows: Int[np.ndarray, " padded"]
    count: int
    embedding: Embedding
    data: tuple[np.ndarray, ...]


class Drawn(NamedTuple):
    """Draws of a posterior.

    Attributes:
        theta: Parameters [n, batch, params].
        k: Number of the class of each [n, batch].
    """

    theta: Float[np.ndarray, "n batch params"]
    k: Int[np.ndarray, "n batch"]


def is_few(model: Model) -> bool:
    """Whether the plan for few classes serves a model: sources, and no redshift bins."""
    return model.space.redshift is None


def chunks(
    model: Model, obs, progress: bool = False,
    tilt: Float[np.ndarray, "batch classes"] | None = None,
) -> Iterator[Chunk]:  # fmt: skip
    """Embeddings of all rows of observations, a fixed number at a time.

    Args:
        model: The density.
        obs: Observations, as `Frame.seen` has them.
        progress: Whether to show a progress bar.
        tilt: Added to the logits of every row: ``-inf`` forbids a class.
    """
    data = model.frame.arrays(obs)
    most = min(_ROWS[is_few(model)], max(64, _NUMBERS // model.frame.size))
    for rows in tqdm(list(blocks(len(obs), most)), disable=not progress or None, unit="chunk"):
        part = tuple(a[rows] for a in data)
        embedding = _embed(model, *part)
        if tilt is not None:
            embedding = embedding._replace(logits=embedding.logits + tilt[rows])
        yield Chunk(rows, min(len(rows), len(obs) - int(rows[0])), embedding, part)


def shares(chunk: Chunk) -> Float[np.ndarray, "rows classes"]:
    """Probability of each class."""
    return np.asarray(jax.nn.softmax(chunk.embedding.logits))[: chunk.count]


def described(model: Model, chunk: Chunk) -> Float[np.ndarray, "rows features"]:
    """What tells that a row is unlike simulations."""
    return np.asarray(_described(model, chunk.embedding))[: chunk.count]


def draw(
    model: Model, chunk: Chunk, n: int, seed: int, numbers: UInt32[np.ndarray, "rows words"]
) -> Drawn:
    """`n` draws of every row of a chunk, still on their way where classes are few.

    Args:
        model: The density.
        chunk: Of `chunks`.
        n: Draws per row.
        seed: Random seed.
        numbers: Of all rows of the input, folded into the key of each word by word.
    """
    key = key_of(seed)
    keys = jax.vmap(lambda words: reduce(jr.fold_in, words, key))(numbers[chunk.rows])
    if is_few(model):
        theta, k = _draw_few(model, keys, chunk.embedding, n)
        return Drawn(theta[:, : chunk.count], k[:, : chunk.count])
    k, base = _draw_classes(keys, chunk.embedding.logits, n, len(model.space.names))
    k = np.asarray(k) * (np.arange(len(keys)) < chunk.count)  # padding: one class
    theta = _push(model, k.ravel(), base.reshape(-1, base.shape[-1]), *_shared(model, chunk, k))
    theta = np.asarray(theta).reshape(n, len(keys), -1)
    return Drawn(theta[:, : chunk.count], k[:, : chunk.count])


def log_density(
    model: Model, chunk: Chunk, theta: Float[ArrayLike, "n padded params"],
    source: Int[ArrayLike, "n padded"],
) -> Float[np.ndarray, "n rows"]:  # fmt: skip
    """Joint log density of parameters and source, ``-inf`` outside the prior of the source.

    Args:
        model: The density.
        chunk: Of `chunks`.
        theta: Parameters of each row of the chunk.
        source: Number of the source of each.
    """
    if is_few(model):
        return np.asarray(_density_few(model, theta, source, chunk.embedding))[:, : chunk.count]
    k, free, log_det, inside = _encode(model, theta, source)
    log_free = log_density_free(model, chunk, np.asarray(k), free)
    log_share = jax.nn.log_softmax(chunk.embedding.logits)[np.arange(len(chunk.rows)), k]
    total = np.where(inside, log_share + log_free + log_det, -np.inf)
    return total[:, : chunk.count]


def log_density_free(
    model: Model, chunk: Chunk, k: Int[ArrayLike, "n rows"], free: Float[Array, "n rows params"]
) -> Float[np.ndarray, "n rows"]:
    """Log density of unconstrained parameters given their class."""
    conditions, which = _shared(model, chunk, k)
    flat = _log_prob(model, free.reshape(-1, free.shape[-1]), conditions[which])
    return np.asarray(flat).reshape(k.shape)


def _shared(
    model: Model, chunk: Chunk, k: Int[np.ndarray, "n padded"]
) -> tuple[Float[Array, "pairs condition"], Int[np.ndarray, " draws"]]:
    """Conditions of all distinct (row, class), of few sizes, and the number of that of each draw.
    """
    embedding, count = chunk.embedding, model.space.classes
    pairs = (np.arange(k.shape[1]) * count + k).ravel()
    distinct, inverse = np.unique(pairs, return_inverse=True)
    rows, own = distinct // count, distinct % count
    calls = math.ceil(len(distinct) / _PAIRS)
    size = padded(math.ceil(len(distinct) / calls))
    rows, own = (np.pad(a, (0, -len(distinct) % size)) for a in (rows, own))
    if len(distinct) > _DENSE * chunk.count:
        embedding = _spread(model, embedding)
    parts = [_condition(model, embedding, rows[i : i + size], own[i : i + size])
             for i in range(0, len(rows), size)]
    conditions = jnp.concatenate(parts)
    whole = 1 << (len(conditions) - 1).bit_length()
    return jnp.pad(conditions, ((0, whole - len(conditions)), (0, 0))), inverse


@eqx.filter_jit
def _embed(model, *data):
    return model.embed(*data)


@eqx.filter_jit
def _described(model, embedding):
    return model.described(embedding)


@eqx.filter_jit
def _spread(model, embedding):
    return model.spread(embedding)


@eqx.filter_jit
def _condition(model, embedding, rows, k):
    return model.condition(embedding, rows, k)


@eqx.filter_jit
def _push(model, k, base, conditions, which):
    blocks = -(-len(which) // _BLOCK)
    filled = blocks * _BLOCK - len(which)
    base = jnp.pad(base, ((0, filled), (0, 0))).reshape(blocks, _BLOCK, -1)
    which = jnp.pad(which, (0, filled)).reshape(blocks, _BLOCK)
    push = lambda draws: model.density.push_many(draws[0], conditions, draws[1])  # noqa: E731
    free = jax.lax.map(push, (base, which)).reshape(blocks * _BLOCK, -1)
    return model.space.decode(k, free[: len(k)])


@eqx.filter_jit
def _log_prob(model, free, condition):
    return model.density.log_prob(free, condition)


@eqx.filter_jit
def _encode(model, theta, source):
    return *model.space.encode(theta, source), jnp.isfinite(model.space.log_prior(theta, source))


@eqx.filter_jit
def _draw_classes(keys, logits, n: int, params: int):
    def one(key, row):
        class_key, base_key = jr.split(key)
        # By the inverse of the cumulative distribution: one random number per draw, where
        # `categorical` needs one per draw and class.
        cumulative = jnp.cumsum(jax.nn.softmax(row))
        level = jr.uniform(class_key, (n,)) * cumulative[-1]
        k = jnp.searchsorted(cumulative, level, side="right")
        return jnp.minimum(k, len(row) - 1), jr.normal(base_key, (n, params))

    return jax.vmap(one, out_axes=1)(keys, logits)


@eqx.filter_jit
def _draw_few(model, keys, embedding, n: int):
    dims = len(model.space.names)

    def one(key, logits, conditions):
        which, base = jr.split(key)
        k = jr.categorical(which, logits, shape=(n,))
        free = model.density.push_many(jr.normal(base, (n, dims)), conditions, k)
        return model.space.decode(k, free), k

    rows = keys, jax.nn.log_softmax(embedding.logits), model.conditions(embedding)
    # few rows at a time: what is in between then stays in the processor's cache
    drawn = jax.lax.map(lambda row: one(*row), rows, batch_size=max(1, _AT_ONCE // n))
    return jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), drawn)


@eqx.filter_jit
def _density_few(model, theta, source, embedding):
    k, free, log_det = model.space.encode(theta, source)
    rows = jnp.broadcast_to(jnp.arange(k.shape[1]), k.shape)
    condition = model.conditions(embedding)[rows, k]
    log_free = model.density.log_prob(free, condition)
    log_share = jax.nn.log_softmax(embedding.logits)[rows, k]
    inside = jnp.isfinite(model.space.log_prior(theta, source))
    return jnp.where(inside, log_share + log_free + log_det, -jnp.inf)
