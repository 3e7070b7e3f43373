"""An M-TOPnet-like network, reimplemented from its description (Ginolfi+25, arXiv:2410.22420).

A spectrum goes through convolutional residual blocks and its continuum through a dense layer; both,
and the hidden layer of a line-location task, feed one shared layer, from which come a softmax over
redshift bins of 0.003, stellar mass, star-formation rate and, for every channel, whether one of 42
lines is within +-5 channels. Loss weights redshift : lines : mass : SFR = 1 : 10 : 1 : 1; Adam from
5e-3 to 1e-4; labels standardised; training stops after 5 epochs without improvement.

Deviations, for what is not published or too slow on CPUs; all but the first should help it:

- about 3,000 channels instead of 12,217, first taken in patches of 8 (kernel = stride), halved
  twice by merging neighbours; widths 32, 64, 128;
- the spectrum comes with its noise: the channels of `flowspec.networks.channels.preprocess`, as our
  network sees them. ``channels=(1,)`` is the published input, the normalised continuum-subtracted
spectrum; - the continuum, averaged over 32 pixels, comes with the mean flux and signal-to-noise
ratio; - layer normalisation, dropout before the heads, clipped gradients, exponential decay of the
rate; - masked channels do not count in the line task; lines are weighted as the mean over channels
  of their binary cross-entropy.

3.0 CPU ms per spectrum of 3,000 channels and epoch on one core, 0.8 for a prediction.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from benchmarks.mtopnet_network import MTopNet
from flowspec.data.line_names import GALAXY_LINES

BIN, REACH, PATIENCE, CHUNK = 0.003, 5, 5, 512
RATES, WEIGHTS = (5e-3, 1e-4), (1.0, 10.0, 1.0, 1.0)


class State(NamedTuple):
    """A trained network.

    Attributes:
        network: The module.
        params: Its parameters, those of the best epoch.
        edges: Of the redshift bins [bins + 1].
        mean: Of the labels log_mstar and log_sfr [2].
        scale: Their standard deviations [2].
        history: Training and validation loss of every epoch [epochs, 2].
    """

    network: MTopNet
    params: dict
    edges: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    history: np.ndarray


class Prediction(NamedTuple):
    """Edges [bins + 1], density per unit redshift [n, bins], labels [n]."""

    edges: np.ndarray
    pdf: np.ndarray
    log_mstar: np.ndarray
    log_sfr: np.ndarray


def train(
    theta: np.ndarray,
    flux: np.ndarray,
    ivar: np.ndarray,
    wave: np.ndarray,
    *,
    epochs: int = 50,
    batch: int = 256,
    seed: int = 0,
    validation: int = 4096,
    limits: tuple[float, float] | None = None,
    rates: tuple[float, float] = RATES,
    report=lambda text: None,
    **sizes,
) -> State:
    """Train on fixed spectra, which stay where they are: batches are indexed from them.

    Args:
        theta: Redshift, log_mstar, log_sfr [n, 3].
        flux: Spectra [n, pixels].
        ivar: Inverse variances, 0 for no data [n, pixels].
        wave: Grid in angstrom, uniform in ln(wavelength) [pixels].
        epochs: At most; the learning rate falls over these.
        batch: Spectra per step; the authors' is 1024.
        seed: Of everything random.
        validation: Last rows held out, by whose loss the best epoch is chosen.
        limits: Least and greatest redshift; by default those of `theta`.
        rates: First and last learning rate.
        report: Called with a line of text every epoch.
        sizes: Attributes of `MTopNet`.
    """
    theta = np.asarray(theta, np.float32)
    rows = len(theta) - validation
    low, high = limits or (theta[:, 0].min(), theta[:, 0].max())
    edges = low + BIN * np.arange(int(np.ceil((high - low) / BIN - 1e-6)) + 1)
    mean, scale = theta[:rows, 1:].mean(0), theta[:rows, 1:].std(0) + 1e-6
    network = MTopNet(len(edges) - 1, **sizes)
    order, key = np.random.default_rng(seed), jr.key(seed)
    params = jax.jit(network.init)(key, flux[:2], ivar[:2])["params"]
    steps = rows // batch
    rate = optax.exponential_decay(rates[0], epochs * steps, rates[1] / rates[0])
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    loss = partial(losses, network, line_mask(wave, float(edges[-1])))

    @jax.jit
    def step(params, moments, key, data):
        value, gradient = jax.value_and_grad(loss)(params, data, key)
        updates, moments = optimiser.update(gradient, moments, params)
        return optax.apply_updates(params, updates), moments, value

    def data(at):
        z = theta[at, 0]
        bins = np.clip(np.searchsorted(edges, z, side="right") - 1, 0, len(edges) - 2)
        labels = (theta[at, 1:] - mean) / scale
        shift = np.rint(np.log1p(z) / log_step(wave)).astype(np.int32)
        return bins.astype(np.int32), labels, shift, flux[at], ivar[at]

    evaluate = jax.jit(loss)
    held_out = [slice(i, min(i + CHUNK, len(theta))) for i in range(rows, len(theta), CHUNK)]
    moments, best, lowest, waited, history = optimiser.init(params), params, np.inf, 0, []
    for epoch in range(epochs):
        total, rows_now = [], order.permutation(rows)
        for i in range(steps):
            at = np.sort(rows_now[i * batch : (i + 1) * batch])
            now = jr.fold_in(key, epoch * steps + i)
            params, moments, value = step(params, moments, now, data(at))
            total.append(value)
        parts = [float(evaluate(params, data(s))) * (s.stop - s.start) for s in held_out]
        history.append((float(jnp.stack(total).mean()), sum(parts) / max(validation, 1)))
        report(f"epoch {epoch + 1}: training {history[-1][0]:.4f} validation {history[-1][1]:.4f}")
        waited += 1
        if not validation or history[-1][1] < lowest:
            best, lowest, waited = params, history[-1][1], 0
        if waited >= PATIENCE:
            break
    return State(network, best, edges, mean, scale, np.array(history))


def losses(network, mask, params, data, key=None):
    """Weighted sum of the four losses; with a key, dropout is on."""
    bins, labels, shift, flux, ivar = data
    rngs = {"dropout": key} if key is not None else None
    logits, lines, found = network.apply({"params": params}, flux, ivar, key is not None, rngs=rngs)
    at = len(mask) - flux.shape[1] - shift
    near = jax.vmap(lambda s: jax.lax.dynamic_slice(mask, (s,), flux.shape[1:]))(at)
    good = ivar > 0
    crossed = optax.sigmoid_binary_cross_entropy(lines, near.astype(flux.dtype))
    terms = (
        optax.softmax_cross_entropy_with_integer_labels(logits, bins).mean(),
        (crossed * good).sum() / jnp.maximum(good.sum(), 1),
        *((found - labels) ** 2).mean(0),
    )
    return sum(w * t for w, t in zip(WEIGHTS, terms, strict=True))


def log_step(wave: np.ndarray) -> float:
    """Pixel of a grid in ln(wavelength)."""
    return float(np.log(wave[-1] / wave[0]) / (len(wave) - 1))


def line_mask(wave: np.ndarray, highest: float) -> np.ndarray:
    """Whether rest-frame pixels, the first at ``wave[0] / (1 + highest)``, are near a line."""
    step = log_step(wave)
    extra = int(np.ceil(np.log1p(highest) / step)) + 1
    pixel = np.arange(-extra, len(wave))[:, None]
    place = np.log(np.array(list(GALAXY_LINES.values())) / wave[0]) / step
    return (np.abs(pixel - place) <= REACH).any(1)


def predict(state: State, flux: np.ndarray, ivar: np.ndarray) -> Prediction:
    """Redshift densities and labels of spectra [n, pixels]."""
    pdf, labels = [], []
    for i in range(0, len(flux), CHUNK):
        part = slice(i, i + CHUNK)
        share, found = forward(state.network, state.params, flux[part], ivar[part])
        pdf.append(share / np.diff(state.edges))
        labels.append(found * state.scale + state.mean)
    labels = np.concatenate(labels)
    return Prediction(state.edges, np.concatenate(pdf), labels[:, 0], labels[:, 1])


@partial(jax.jit, static_argnums=0)
def forward(network: MTopNet, params: dict, flux, ivar):
    """Probabilities of redshift bins [n, bins] and standardised labels [n, 2]."""
    logits, _, labels = network.apply({"params": params}, flux, ivar)
    return jax.nn.softmax(logits), labels
