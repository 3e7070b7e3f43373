"""Seeds: whole numbers of any size to random keys, none cut off in silence."""

import operator

import jax.random as jr
from jaxtyping import PRNGKeyArray

_WORD = 32  # bits of a seed that a key of JAX is made of


def key_of(seed) -> PRNGKeyArray:
    """Random key of a seed, ``jax.random.key(seed)`` below 2^32.

    JAX keeps the lowest 32 bits of a seed and drops the rest, so that 5 and 2^32 + 5 are one.
    Here further bits are folded in, 32 at a time.

    Args:
        seed: A whole number that is not negative, however large.

    Raises:
        ValueError: If it is another.
    """
    try:
        rest = operator.index(seed)
    except TypeError:
        rest = -1
    if rest < 0:
        raise ValueError(f"expected a whole number >= 0 as the seed; got {seed!r}")
    key = jr.key(rest % 2**_WORD)
    while rest := rest >> _WORD:
        key = jr.fold_in(key, rest % 2**_WORD)
    return key
