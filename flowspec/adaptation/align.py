"""Domain adaptation: training whose summaries do not tell simulations from observations.

The loss is the negative log likelihood of simulations plus what tells the two sets of summaries
apart (`flowspec.adaptation.losses`). Observations enter as they are, without labels.
"""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PRNGKeyArray

from flowspec.adaptation.distances import adversarial, coral, mmd, reverse_gradient
from flowspec.adaptation.settings import METHODS as METHODS
from flowspec.adaptation.settings import Adaptation
from flowspec.networks.critic import DomainClassifier
from flowspec.train.loop import Training, draw_batch, negative_log_likelihood, train

# So that gradients on the summaries are alike in size at a weight of 1.
_SCALE = {"mmd": 30.0, "coral": 10.0}
_WEIGHTS = (0.02, 30.0)  # of a simulation: one alone must not stand for the population
_STEEP = 10.0  # of the schedule


class Adapted(eqx.Module):
    """A model and the classifier that it is to defeat.

    Attributes:
        model: The density.
        variables: Parameters of the classifier.
        classifier: Flax module (static).
        method: Of alignment (static).
    """

    model: eqx.Module
    variables: dict
    classifier: DomainClassifier = eqx.field(static=True)
    method: str = eqx.field(static=True)

    @classmethod
    def of(cls, key: PRNGKeyArray, model: eqx.Module, method: str, observed: tuple) -> "Adapted":
        """With a new classifier; `observed` lends its shapes."""
        shape = jax.eval_shape(model.features, *observed).shape
        classifier = DomainClassifier()
        return cls(model, classifier.init(key, jnp.zeros((1, shape[1]))), classifier, method)

    @property
    def settings(self) -> tuple:
        """What a resumed run must share."""
        return *self.model.settings, self.method

    def log_prob(self, theta: Array, *data: Array) -> tuple[Array, Array]:
        """Of the model."""
        return self.model.log_prob(theta, *data)

    def discrepancy(
        self, source: Array, target: Array, weight: Array, strength: Float[Array, ""]
    ) -> Float[Array, ""]:
        """What tells the summaries of simulations and observations apart, times `strength`."""
        centre, scale = source.mean(0), source.std(0) + 1e-3
        unit = partial(_standardised, *jax.lax.stop_gradient((centre, scale)))
        source, target = unit(source), unit(target)
        if self.method == "dann":
            source, target = (reverse_gradient(x, strength) for x in (source, target))
            critic = partial(self.classifier.apply, self.variables)
            return adversarial(source, target, weight, critic)
        distance = {"mmd": mmd, "coral": coral}[self.method]
        return _SCALE[self.method] * strength * distance(source, target, weight)


def _standardised(centre, scale, x):
    return (x - centre) / scale


class Paired(eqx.Module):
    """Simulations and observations, a batch of each per training step.

    Attributes:
        simulator: Of simulations.
        observed: Arrays of observations, as the model takes them.
        population: ``log_ratio(*labels)`` of the observed over the simulated population, or None.
        weight: Of the alignment at the end of the schedule.
        first: Step at which this run begins.
        share: Observations per simulation (static).
        steps: Steps of the whole schedule (static).
    """

    simulator: eqx.Module
    observed: tuple[Array, ...]
    population: eqx.Module | None
    weight: Float[Array, ""]
    first: Int[Array, ""]
    share: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def batch(self, key: PRNGKeyArray, step: Int[Array, ""], n: int) -> tuple:
        """Simulations, their population weights, observations, and the strength of alignment."""
        step = step + self.first
        simulated = draw_batch(self.simulator, key, step, n)
        devices = jax.device_count()
        count = max(1, round(self.share * n / devices)) * devices
        rows = jr.randint(jr.fold_in(jr.fold_in(key, 2), step), (count,), 0, len(self.observed[0]))
        labels = simulated[: len(simulated) - len(self.observed)]
        weight = population_weight(self.population, labels)
        strength = self.weight * ramp((step + 1) / self.steps)
        return (
            simulated, weight, tuple(a[rows] for a in self.observed), jnp.full(n, strength)
        )  # fmt: skip


def population_weight(population, labels: tuple[Array, ...]) -> Float[Array, " n"]:
    """Observed over simulated population, of mean one and within about `_WEIGHTS`."""
    if population is None:
        return jnp.ones(len(labels[0]))
    log_ratio = population.log_ratio(*labels)
    ratio = jnp.clip(len(log_ratio) * jax.nn.softmax(log_ratio), *_WEIGHTS)
    return ratio / ratio.mean()


def ramp(progress: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Schedule of Ganin et al. (2016), section 5.2.2: ``2 / (1 + exp(-10 p)) - 1``."""
    return 2 / (1 + jnp.exp(-_STEEP * progress)) - 1


def adapted_loss(
    adapted: Adapted, simulated: tuple, weight: Array, observed: tuple, strength: Array
) -> Float[Array, ""]:
    """Negative log likelihood of simulations, and what tells them from observations."""
    log_prob, source = adapted.model.log_prob_and_features(*simulated)
    target = adapted.model.features(*observed)
    return adapted.discrepancy(source, target, weight, strength[0]) - sum(log_prob).mean()


def adapt(
    model: eqx.Module,
    simulator,
    observed: tuple[Array, ...],
    validation: tuple[Array, ...],
    key: PRNGKeyArray,
    *,
    method: str,
    weight: float,
    population,
    training: Training,
    adaptation: Adaptation,
    progress: bool = True,
) -> list[eqx.Module]:
    """Models after each stage of one run.

    Args:
        model: Where to start.
        simulator: As of `flowspec.train.loop.train`.
        observed: Arrays of observations, as the model takes them: flux and inverse variance.
        validation: Held-out simulations.
        key: Random key.
        method: "none" goes on without alignment, for `injected` steps in one stage.
        weight: Of the alignment.
        population: Has ``log_ratio(*labels)``, the weight of simulations in the alignment; or None.
        training: Batch and the like; steps and rate are those of `adaptation`.
        adaptation: How to adapt.
        progress: Whether to show progress bars.
    """
    aligned = method != "none"
    stages = adaptation.stages if aligned else 1
    part = -(-adaptation.steps // stages) if aligned else adaptation.injected
    config = replace(
        training, steps=part, evaluate=part, learning_rate=adaptation.learning_rate, patience=2
    )
    observed = tuple(jnp.asarray(a) for a in observed)
    models, loss = [], adapted_loss if aligned else negative_log_likelihood
    state = Adapted.of(jr.fold_in(key, 3), model, method, observed)
    for stage in range(stages):
        source = simulator if not aligned else Paired(
            simulator, observed, population, jnp.float32(weight), jnp.int32(stage * part),
            adaptation.share, adaptation.steps,
        )  # fmt: skip
        state, _ = train(
            state, source, validation, config, jr.fold_in(key, stage),
            progress=progress, loss=loss, last=True,
        )  # fmt: skip
        models.append(state.model)
    return models
