"""What two ideas are worth: the line-location task, and the noise of every pixel as an input.

M-TOPnet learns, beside the redshift, which channels hold one of 42 lines. Here a small
convolutional network says so for every pixel; what it finds is one more channel to correlate with
templates at every redshift, and its binary cross-entropy one more term of the loss.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import flowspec as fs
from benchmarks.mtopnet import line_mask, log_step
from flowspec.fit import draw_many, initialise
from flowspec.losses import negative_log_likelihood
from flowspec.model import Model, build
from flowspec.networks import CHANNELS, RedshiftNetwork, correlated
from flowspec.redshift import Recalibration
from flowspec.screening import Screen
from flowspec.train import train

FIELDS = ("pixels", "bins", "bin_pixels", "templates", "aligned", "window", "summary", "condition")


class LineFinder(nn.Module):
    """Logit of a line in every pixel [batch, pixels], from patches and their neighbours."""

    patch: int = 16
    width: int = 48

    @nn.compact
    def __call__(self, channels):
        pixels = channels.shape[-1]
        x = jnp.pad(channels, ((0, 0), (0, 0), (0, -pixels % self.patch))).swapaxes(1, 2)
        x = nn.Dense(self.width)(x.reshape(len(x), -1, self.patch * CHANNELS))
        for _ in range(3):
            h = nn.Conv(self.width, (3,))(nn.gelu(nn.LayerNorm()(x)))
            x = x + nn.Dense(self.width)(nn.gelu(h))
        return nn.Dense(self.patch)(nn.gelu(x)).reshape(len(x), -1)[:, :pixels]


class LineNetwork(RedshiftNetwork):
    """`RedshiftNetwork` whose redshift logits know where the lines seem to be."""

    def setup(self):
        super().setup()
        self.finder = LineFinder()
        shape = (1, *self.trial.shape[1:])
        self.line_trial = self.param("line_trial", nn.initializers.normal(0.01), shape)

    def correlate(self, channels):
        """As of the parent, with one more channel."""
        found = jnp.tanh(self.finder(channels) / 4)[:, None]
        more = correlated(found, self.line_trial, self.bin_pixels, self.bins)
        return super().correlate(channels) + more

    def find(self, channels):
        """Logits of a line in every pixel."""
        return self.finder(channels)


def with_lines(model, theta, flux, ivar, *, mask, step, weight):
    """Negative log likelihood plus `weight` times the mean cross-entropy over good pixels."""
    channels = model.embed(flux, ivar).channels
    logits = model.network.apply(model.variables, channels, method="find")
    shift = jnp.rint(jnp.log1p(theta[:, 0]) / step).astype(int)
    at = len(mask) - flux.shape[1] - shift
    near = jax.vmap(lambda s: jax.lax.dynamic_slice(mask, (s,), flux.shape[1:]))(at)
    good = ivar > 0
    crossed = optax.sigmoid_binary_cross_entropy(logits, near.astype(flux.dtype))
    lines = (crossed * good).sum() / jnp.maximum(good.sum(), 1)
    return negative_log_likelihood(model, theta, flux, ivar) + weight * lines


def fit_with_lines(simulations, training: fs.Training, seed: int, weight: float) -> fs.Posterior:
    """As `flowspec.fit`, with the line-location task; its model cannot be saved."""
    keys = jr.split(jr.key(seed), 5)
    sizes, wave = fs.Architecture(), simulations.wave
    training_set, held_out = simulations.split(training.validation)
    model = build(keys[1], simulations.prior, wave, sizes)
    network = LineNetwork(**{name: getattr(model.network, name) for name in FIELDS})
    blank = jnp.zeros((1, len(wave)))
    variables = jax.jit(network.init)(keys[1], blank, blank + 1, jnp.zeros(1, int))
    model = Model(variables, model.flow, network, model.redshift, model.prior)
    model = initialise(model, draw_many(training_set, keys[2], 1024))
    mask = jnp.asarray(line_mask(wave, model.redshift.high))
    loss = partial(with_lines, mask=mask, step=log_step(wave), weight=weight)
    validation = tuple(map(jnp.asarray, held_out.rows()))
    model, _ = train(model, training_set, validation, training, keys[3], loss=loss)
    screen = Screen(*(np.zeros(s, np.float32) for s in (64, (64, 64), 1)))
    return fs.Posterior(model, wave, screen, Recalibration.identity(), sizes, {})


def blind(flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """Inverse variances [n, pixels] without those of the instrument.

    One per spectrum, from the median difference of neighbouring pixels; 0 stays 0.
    """
    parts = []
    for f, w in zip(np.array_split(flux, 50), np.array_split(ivar, 50), strict=True):
        sigma = 1.4826 / np.sqrt(2) * np.median(np.abs(np.diff(f)), axis=1)
        parts.append(np.where(w > 0, np.maximum(sigma, 1e-6)[:, None] ** -2, 0))
    return np.concatenate(parts).astype(np.float32)
