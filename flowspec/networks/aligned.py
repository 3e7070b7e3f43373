"""Flax networks: from a spectrum and its inverse variance to features, with and without redshift.

All of a network's knowledge of redshift is one fact: on a logarithmic grid it is a translation.
`RedshiftNetwork` correlates a few channels of the observed spectrum with learned rest-frame
templates at every trial shift at once (FFT), which gives the redshift bins their logits, and
projects the same channels, shifted to the rest frame of *one* chosen bin, on many more learned
templates, which gives the flow its condition.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flowspec.data.continuum import continuum
from flowspec.networks.blocks import (
    ChannelCNN,
    PatchCNN,
    correlated,
    fast_length,
    principal_components,
    shift_into,
)

CHANNELS = 5


class Embedding(NamedTuple):
    """All that the posterior needs of a batch of spectra, computed once per spectrum."""

    channels: Float[Array, "batch channels pixels"]
    logits: Float[Array, "batch bins"]
    summary: Float[Array, "batch summary"]


def preprocess(
    flux: Float[Array, "batch pixels"], ivar: Float[Array, "batch pixels"], window: int
) -> tuple[Float[Array, "batch channels pixels"], Float[Array, "batch scalars"]]:
    """Fixed channels in which noise has a known size, and the scalars that they leave out.

    With ``s`` the inverse-variance weighted mean of ``|flux|``, ``n = s sqrt(ivar)`` the
    signal-to-noise ratio of a pixel and ``c`` the running mean of the flux: the residual
    ``(flux - c) sqrt(ivar)``, clipped softly at 8 and at 2 sigma; the same relative to ``s`` and
    damped where it is below the noise, ``(flux - c) / s * n^2 / (n^2 + 9)``; the continuum
    ``c / s``, damped likewise; and ``log(1 + n)``. All vanish where ``ivar == 0``, so masked
    pixels cannot change anything. Scalars: ``log10 s``, ``log10`` of the mean ``n``, and the share
    of good pixels.
    """
    good = ivar > 0
    flux = jnp.where(good, flux, 0.0)
    share = good.mean(-1, keepdims=True)
    weight = ivar / jnp.maximum(ivar.mean(-1, keepdims=True), 1e-30)
    s = (weight * jnp.abs(flux)).mean(-1, keepdims=True)
    s = jnp.where(s > 0, s, 1.0)
    relative = flux / s
    n = s * jnp.sqrt(ivar)
    c = continuum(relative, ivar, window)
    window_n2 = n.mean(-1, keepdims=True) ** 2 * window * 0.25
    residual = (relative - c) * n
    rms = jnp.sqrt((residual**2).mean(-1, keepdims=True) + 1e-6)
    channels = [
        residual / jnp.sqrt(1 + (residual / 8) ** 2),
        residual / rms,
        3 * jnp.arcsinh((relative - c) * 3 * n**2 / (n**2 + 9)),
        jnp.arcsinh(c) * window_n2 / (window_n2 + 9),
        jnp.log1p(n) / 2,
    ]
    channels = jnp.stack(channels, axis=1) * good[:, None]
    mean_n = n.sum(-1, keepdims=True) / jnp.maximum(good.sum(-1, keepdims=True), 1)
    scalars = jnp.concatenate(
        [jnp.log10(s), jnp.log10(mean_n + 1e-3), jnp.log10(rms), share], axis=-1
    )
    return channels, scalars


class RedshiftNetwork(nn.Module):
    """Shift-equivariant redshift logits and features aligned at a redshift bin.

    Attributes:
        pixels: Number N of pixels of the logarithmic grid.
        bins: Number M of redshift bins, each of ``bin_pixels`` pixels.
        bin_pixels: Pixels per redshift bin; the correlation runs on the grid binned by it.
        templates: Templates correlated at every shift.
        aligned: Templates projected at the chosen shift only.
        window: Width in pixels of the running mean taken as the continuum.
        condition: Length of the condition handed to the flow.
        learned: Channels that a convolutional network adds to the fixed ones.
    """

    pixels: int
    bins: int
    bin_pixels: int = 1
    templates: int = 8
    aligned: int = 64
    window: int = 101
    summary: int = 32
    condition: int = 64
    learned: int = 0

    def setup(self):
        coarse = -(-self.pixels // self.bin_pixels)
        small = nn.initializers.normal(0.01)
        self.trial = self.param(
            "trial", small, (CHANNELS, self.templates, coarse + self.bins - 1)
        )
        rest = self.pixels + (self.bins - 1) * self.bin_pixels
        self.rest = self.param("rest", small, (CHANNELS, rest, self.aligned))
        if self.learned:
            self.learn = ChannelCNN(self.learned)
            shape = (self.learned, *self.trial.shape[1:])
            self.learned_trial = self.param("learned_trial", small, shape)
        self.cnn = PatchCNN(32, min(32, self.pixels), self.summary)
        self.quality = nn.Dense(32)
        self.logit = [nn.Dense(32), nn.Dense(32), nn.Dense(1)]
        self.mix = [nn.Dense(128), nn.Dense(128), nn.Dense(self.condition)]
        self.shortcut = nn.Dense(self.condition)

    def __call__(self, flux, ivar, bins):
        """Embedding and condition ``[batch, condition]`` at one bin per spectrum."""
        embedding = self.embed(flux, ivar)
        lines = self.project(embedding.channels, bins)
        return embedding, self.condition_of(lines, embedding.summary, bins)

    def embed(
        self, flux: Float[Array, "batch pixels"], ivar: Float[Array, "batch pixels"]
    ) -> Embedding:
        """What is computed once per spectrum."""
        channels, scalars = preprocess(flux, ivar, self.window)
        cnn = self.cnn(channels.swapaxes(1, 2))
        summary = jnp.concatenate([cnn, scalars], axis=-1)
        correlation = self.correlate(channels)
        if self.learned:
            found = jnp.tanh(self.learn(channels) / 4) * (ivar > 0)[:, None]
            correlation += correlated(found, self.learned_trial, self.bin_pixels, self.bins)
        return Embedding(channels, self.logits(correlation, summary), summary)

    def correlate(
        self, channels: Float[Array, "batch channels pixels"]
    ) -> Float[Array, "batch templates bins"]:
        """The fixed channels against the templates `trial` at every bin."""
        return correlated(channels, self.trial, self.bin_pixels, self.bins)

    def learned_channels(
        self, channels: Float[Array, "batch channels pixels"]
    ) -> Float[Array, "batch learned pixels"]:
        """The learned channels before they are clipped."""
        return self.learn(channels)

    def to_rest(
        self, channels: Float[Array, "batch channels pixels"], bins: Int[Array, " batch"]
    ) -> Float[Array, "batch channels rest"]:
        """Channels on the rest-frame grid, as they would be at the given redshift bins."""
        start = (self.bins - 1 - bins) * self.bin_pixels
        length = self.pixels + (self.bins - 1) * self.bin_pixels
        return jax.vmap(shift_into, in_axes=(0, 0, None))(channels, start, length)

    def logits(self, correlation, summary) -> Float[Array, "batch bins"]:
        """A small perceptron shared by all bins, on each bin and its two neighbours."""
        edge = jnp.pad(correlation, ((0, 0), (0, 0), (1, 1)))
        near = [edge[..., i : i + self.bins] for i in range(3)]
        near = jnp.concatenate(near, axis=1).swapaxes(1, 2)
        first, second, last = self.logit
        scalars = summary[:, None, -4:]
        h = nn.gelu(first(near) + self.quality(scalars))
        h = nn.gelu(second(h))
        return last(h)[..., 0]

    def project(
        self, channels: Float[Array, "batch channels pixels"], bins: Int[Array, " batch"]
    ) -> Float[Array, "batch channels aligned"]:
        """Projections on the rest-frame templates at one redshift bin per spectrum."""
        return jnp.einsum("bcr,crg->bcg", self.to_rest(channels, bins), self.rest)

    def project_everywhere(
        self, channels: Float[Array, "batch channels pixels"]
    ) -> Float[Array, "batch channels aligned bins"]:
        """`project` at all bins by FFT: cheaper where many bins of a spectrum are asked for."""
        length = fast_length(self.rest.shape[1])
        template = jnp.fft.rfft(self.rest.swapaxes(1, 2), length)
        reach = (self.bins - 1) * self.bin_pixels

        def one(channels):
            x = jnp.fft.rfft(channels, length).conj()
            shifts = jnp.fft.irfft(x[:, None] * template, length)
            return shifts[..., : reach + 1 : self.bin_pixels][..., ::-1]

        # A few at a time: the transforms of all would leave the cache, at twice the time.
        return jax.lax.map(one, channels, batch_size=8)

    def condition_of(
        self,
        lines: Float[Array, "batch channels aligned"],
        summary: Float[Array, "batch summary"],
        bins: Int[Array, " batch"],
    ) -> Float[Array, "batch condition"]:
        """The flow's condition at one redshift bin per spectrum, from its projections there."""
        norm = jnp.sqrt((lines**2).sum(-1, keepdims=True) + 1e-3)
        lines = jnp.concatenate([lines, 4 * lines / norm, jnp.log(norm)], axis=-1)
        lines = lines.reshape(lines.shape[0], -1)
        position = bins[:, None] / self.bins
        near = jnp.log10(position + 1e-3)
        h = jnp.concatenate([lines, summary, position, near], axis=-1)
        shortcut = self.shortcut(h)
        for dense in self.mix[:-1]:
            h = nn.gelu(dense(h))
        return shortcut + self.mix[-1](h)


def principal_templates(
    network: RedshiftNetwork,
    variables: dict,
    flux: Float[Array, "batch pixels"],
    ivar: Float[Array, "batch pixels"],
    bins: Int[Array, " batch"],
) -> dict:
    """Start the templates at the principal components of simulated spectra in the rest frame.

    The classical redshift fitter's basis, as a starting point: training then needs a few hundred
    steps to pass what random templates reach in thousands.

    Args:
        network: The network.
        variables: Its variables from ``init``.
        flux: About a thousand simulated spectra.
        ivar: Their inverse variances.
        bins: Their true redshift bins.

    Returns:
        The variables with both sets of templates replaced.
    """
    channels, _ = preprocess(flux, ivar, network.window)
    rest = np.asarray(network.to_rest(channels, bins))
    aligned = [principal_components(rest[:, c], network.aligned) for c in range(CHANNELS)]
    joint = principal_components(rest.reshape(len(rest), -1), network.templates)
    trial = joint.reshape(network.templates, CHANNELS, -1)
    step = network.bin_pixels
    coarse = variables["params"]["trial"].shape[-1]
    trial = np.pad(trial, ((0, 0), (0, 0), (0, coarse * step - trial.shape[-1])))
    trial = trial.reshape(*trial.shape[:2], coarse, step).mean(-1)
    params = variables["params"] | {
        "trial": jnp.asarray(trial.swapaxes(0, 1)),
        "rest": jnp.asarray(np.stack(aligned).swapaxes(1, 2)),
    }
    return variables | {"params": params}
