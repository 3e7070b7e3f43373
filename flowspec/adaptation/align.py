"""Alignment: training whose summaries do not tell simulations from observations.

The loss is that of simulations plus what tells the two sets of summaries apart
(`flowspec.adaptation.distances`). Observations enter as they are, without labels.
"""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PRNGKeyArray

from flowspec.adaptation.distances import adversarial, coral, mmd, reverse_gradient
from flowspec.adaptation.settings import Adaptation
from flowspec.model.model import Model
from flowspec.networks.critic import DomainClassifier
from flowspec.sim.simulator import Simulated, Simulator
from flowspec.train.loop import train
from flowspec.train.settings import Training

# So that gradients on the summaries are alike in size at a weight of 1.
_SCALE = {"mmd": 30.0, "coral": 10.0}
_WEIGHTS = (0.02, 30.0)  # of a simulation: one alone must not stand for the population
_STEEP = 10.0  # of the schedule


class Pair(eqx.Module):
    """A batch of simulations and one of observations.

    Attributes:
        simulated: Simulations.
        weight: Of each, observed over simulated population [n].
        observed: Arrays of observations.
        strength: Of the alignment, repeated [n].
    """

    simulated: Simulated
    weight: Float[Array, " n"]
    observed: tuple[Array, ...]
    strength: Float[Array, " n"]


class Adapted(eqx.Module):
    """A model and the classifier that it is to defeat.

    Attributes:
        model: The density.
        variables: Parameters of the classifier.
        classifier: Flax module (static).
        method: Of alignment (static).
    """

    model: Model
    variables: dict
    classifier: DomainClassifier = eqx.field(static=True)
    method: str = eqx.field(static=True)

    @classmethod
    def of(cls, key: PRNGKeyArray, model: Model, method: str, observed: tuple) -> "Adapted":
        """With a new classifier; `observed` lends its shapes."""
        shape = jax.eval_shape(model.features, *observed).shape
        classifier = DomainClassifier()
        return cls(model, classifier.init(key, jnp.zeros((1, shape[1]))), classifier, method)

    @property
    def settings(self) -> tuple:
        """What a resumed run must share."""
        return *self.model.settings, self.method

    @property
    def network(self):
        """That of the model."""
        return self.model.network

    def loss(self, key: PRNGKeyArray, pair: Pair) -> Float[Array, ""]:
        """That of the model on simulations, and what tells them from observations."""
        value, source = self.model.loss_and_features(key, pair.simulated)
        target = self.model.features(*pair.observed)
        return value + self.discrepancy(source, target, pair.weight, pair.strength[0])

    def validation_loss(self, key: PRNGKeyArray, simulated: Simulated) -> Float[Array, ""]:
        """That of the model."""
        return self.model.validation_loss(key, simulated)

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

    simulator: Simulator
    observed: tuple[Array, ...]
    population: eqx.Module | None
    weight: Float[Array, ""]
    first: Int[Array, ""]
    share: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def batch(self, key: PRNGKeyArray, step: Int[Array, ""], n: int) -> Pair:
        """Simulations, their population weights, observations, and the strength of alignment."""
        step = step + self.first
        simulated = self.simulator.batch(key, step, n)
        devices = jax.device_count()
        count = max(1, round(self.share * n / devices)) * devices
        rows = jr.randint(jr.fold_in(jr.fold_in(key, 2), step), (count,), 0, len(self.observed[0]))
        weight = population_weight(self.population, simulated)
        strength = self.weight * ramp((step + 1) / self.steps)
        observed = tuple(a[rows] for a in self.observed)
        return Pair(simulated, weight, observed, jnp.full(n, strength))


def population_weight(population, simulated: Simulated) -> Float[Array, " n"]:
    """Observed over simulated population, of mean one and within about `_WEIGHTS`."""
    if population is None:
        return jnp.ones(len(simulated.theta))
    log_ratio = population.log_ratio(simulated.theta, simulated.source)
    ratio = jnp.clip(len(log_ratio) * jax.nn.softmax(log_ratio), *_WEIGHTS)
    return ratio / ratio.mean()


def ramp(progress: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Schedule of Ganin et al. (2016), section 5.2.2: ``2 / (1 + exp(-10 p)) - 1``."""
    return 2 / (1 + jnp.exp(-_STEEP * progress)) - 1


def trained_on(
    model: Model, simulator: Simulator, validation: Simulated, key: PRNGKeyArray, *,
    training: Training, adaptation: Adaptation, progress: bool = True,
) -> Model:  # fmt: skip
    """The model after `Adaptation.injected` more steps on a simulator, without alignment."""
    config = _brief(training, adaptation, adaptation.injected)
    model, _ = train(model, simulator, validation, config, key, progress=progress, last=True)
    return model


def aligned(
    model: Model,
    simulator: Simulator,
    observed: tuple[Array, ...],
    validation: Simulated,
    key: PRNGKeyArray,
    *,
    method: str,
    weight: float,
    population,
    training: Training,
    adaptation: Adaptation,
    progress: bool = True,
) -> list[Model]:
    """Models after each stage of one run.

    Args:
        model: Where to start.
        simulator: Of simulations.
        observed: Arrays of observations, as the model takes them: flux and inverse variance.
        validation: Held-out simulations.
        key: Random key.
        method: "dann", "mmd" or "coral".
        weight: Of the alignment.
        population: Has ``log_ratio(theta, source)``, the weight of simulations in the alignment;
            or None.
        training: Batch and the like; steps and rate are those of `adaptation`.
        adaptation: How to adapt.
        progress: Whether to show progress bars.
    """
    part = -(-adaptation.steps // adaptation.stages)
    config = _brief(training, adaptation, part)
    observed = tuple(jnp.asarray(a) for a in observed)
    state, models = Adapted.of(jr.fold_in(key, 3), model, method, observed), []
    for stage in range(adaptation.stages):
        pairs = Paired(
            simulator, observed, population, jnp.float32(weight), jnp.int32(stage * part),
            adaptation.share, adaptation.steps,
        )  # fmt: skip
        own = jr.fold_in(key, stage)
        state, _ = train(state, pairs, validation, config, own, progress=progress, last=True)
        models.append(state.model)
    return models


def _brief(training: Training, adaptation: Adaptation, steps: int) -> Training:
    return replace(
        training, steps=steps, evaluate=steps, learning_rate=adaptation.learning_rate, patience=2
    )
