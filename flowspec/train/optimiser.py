"""Optimisers by name, with their schedule and slower parameters."""

from collections.abc import Mapping

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon

from flowspec.train.settings import OPTIMISERS, Training


def make_optimiser(
    config: Training, rates: Mapping[str, float]
) -> optax.GradientTransformation:
    """Clipped AdamW or Muon with its schedule, slower on some parameters.

    Args:
        config: How to train.
        rates: Factors on the learning rate, by the name of a parameter (`Network.rates`).

    Raises:
        ValueError: On another name.
    """
    if config.optimiser not in OPTIMISERS:
        raise ValueError(f"expected an optimiser among {sorted(OPTIMISERS)}; "
                         f"got {config.optimiser!r}")

    def scale_updates(updates, state, params=None):
        del params

        def scaled(path, update):
            return update * rates.get(getattr(path[-1], "key", None), 1.0)

        return jax.tree_util.tree_map_with_path(scaled, updates), state

    make = dict(zip(OPTIMISERS, (optax.adamw, _muon), strict=True))
    schedule = optax.warmup_cosine_decay_schedule(
        0.0,
        config.learning_rate,
        max(1, min(200, config.steps // 10)),
        max(2, config.steps),
        config.learning_rate / 100,
    )
    return optax.chain(
        optax.clip_by_global_norm(config.clip),
        make[config.optimiser](schedule, weight_decay=config.weight_decay),
        optax.GradientTransformation(lambda params: (), scale_updates),
    )


def _muon(schedule, weight_decay: float) -> optax.GradientTransformation:
    def matrices(params):
        """Also those of a flow, which are stacked by layer."""
        return jax.tree.map(
            lambda p: MuonDimensionNumbers(p.ndim - 1, p.ndim - 2) if p.ndim in (2, 3) else None,
            params,
        )

    return muon(
        schedule,
        weight_decay=weight_decay,
        adam_weight_decay=weight_decay,
        consistent_rms=0.2,  # steps as large as those of Adam (Liu et al. 2025, arXiv:2502.16982)
        muon_weight_dimension_numbers=matrices,
    )
