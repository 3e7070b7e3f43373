"""Flax networks: from a spectrum and its inverse variance to features, with and without redshift.

All of a network's knowledge of redshift is one fact: on a logarithmic grid it is a translation.
`AlignedNetwork` correlates a few channels of the observed spectrum with learned rest-frame
templates at every trial shift at once (FFT), which gives the redshift bins their logits, and
projects the same channels, shifted to the rest frame of *one* chosen bin, on many more learned
templates, which gives the flow its condition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flowspec.data.frame import Pixels
from flowspec.networks.blocks import (
    ChannelCNN,
    PatchCNN,
    correlated,
    fast_length,
    shift_into,
)
from flowspec.networks.channels import CHANNELS, preprocess
from flowspec.networks.network import Network, merged
from flowspec.networks.principal import principal_templates


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network of spectra and of the density.

    Attributes:
        bin_pixels: Pixels per redshift bin: the correlation runs on a grid this much coarser.
        templates: Templates correlated at every trial redshift.
        aligned: Templates per channel projected at the chosen redshift.
        window: Width of the running mean taken as the continuum, in pixels.
        summary: Observed-frame features.
        condition: Features handed to the density.
        learned: Channels learned on top of the fixed ones.
        layers: Layers of the density: coupling layers of a flow.
        width: Hidden width of their conditioners.
        knots: Spline knots of a flow.
        network: Name of the network: "aligned", or "transformer" (experimental).
        density: Name of the density: "flow", or "flow-matching" (experimental).
        activation: Of the conditioners of a flow: "gelu" or "relu".
    """

    bin_pixels: int = 2
    templates: int = 8
    aligned: int = 24
    window: int = 101
    summary: int = 32
    condition: int = 64
    learned: int = 4
    layers: int = 5
    width: int = 64
    knots: int = 8
    network: str = "aligned"
    density: str = "flow"
    activation: str = "gelu"


class AlignedEmbedding(NamedTuple):
    """All that the posterior needs of a batch of spectra, computed once per spectrum.

    Attributes:
        channels: Spectra as the network sees them.
        logits: Of the classes.
        summary: Observed-frame features, the last four of them scalars of the whole.
        projections: On the rest-frame templates at all redshift bins, or None: worked out for the
            bins asked for.
    """

    channels: Float[Array, "batch channels pixels"]
    logits: Float[Array, "batch classes"]
    summary: Float[Array, "batch summary"]
    projections: Float[Array, "batch channels aligned bins"] | None = None


class AlignedNetwork(Network):
    """Shift-equivariant redshift logits and features aligned at a redshift bin.

    Attributes:
        pixels: Number N of pixels of the logarithmic grid.
        bins: Number M of redshift bins, each of ``bin_pixels`` pixels.
        bin_pixels: Pixels per redshift bin; the correlation runs on the grid binned by it.
        templates: Templates correlated at every shift.
        aligned: Templates projected at the chosen shift only.
        window: Width in pixels of the running mean taken as the continuum.
        condition_features: Length of the condition handed to the density.
        learned: Channels that a convolutional network adds to the fixed ones.
        sources: Sources, each with its own logits at every bin.
    """

    frame_kind: ClassVar[str] = "pixels"
    Sizes: ClassVar[type] = Architecture

    pixels: int
    bins: int
    bin_pixels: int = 1
    templates: int = 8
    aligned: int = 64
    window: int = 101
    summary: int = 32
    condition_features: int = 64
    learned: int = 0
    sources: int = 1

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
        self.cnn = self.summary_network()
        self.quality = nn.Dense(32)
        self.logit = [nn.Dense(32), nn.Dense(32), nn.Dense(self.sources)]
        self.mix = [nn.Dense(128), nn.Dense(128), nn.Dense(self.condition_features)]
        self.shortcut = nn.Dense(self.condition_features)

    def summary_network(self) -> nn.Module:
        """What gives the observed-frame features [batch, summary] from channels [.., channels]."""
        return PatchCNN(32, min(32, self.pixels), self.summary)

    @classmethod
    def made(cls, frame: Pixels, space, sizes: Architecture) -> "AlignedNetwork":
        """Of the sizes for a grid, with as many redshift bins and sources as the space has."""
        names = {f.name for f in fields(cls)} & {f.name for f in fields(Architecture)}
        chosen = {name: getattr(sizes, name) for name in names}
        bins = space.redshift.bins if space.redshift else 1
        return cls(
            pixels=frame.size, bins=bins, sources=len(space.sources),
            condition_features=sizes.condition, **chosen,
        )  # fmt: skip

    @property
    def condition_size(self) -> int:
        """Length of a condition."""
        return self.condition_features

    def with_odds(self, variables: dict, log_odds: Float[Array, " sources"]) -> dict:
        """Variables whose logits of each source's classes are larger by so much."""
        last = variables["params"]["logit_2"]
        return merged(variables, logit_2=last | {"bias": last["bias"] + log_odds})

    def rates(self, training) -> Mapping[str, float]:
        """Templates start as principal components and are many: full steps on them overfit."""
        return {"trial": training.trial_rate, "rest": training.rest_rate}

    def embed(
        self, flux: Float[Array, "batch pixels"], ivar: Float[Array, "batch pixels"],
        *width: Float[Array, "batch 2"],
    ) -> AlignedEmbedding:  # fmt: skip
        """What is computed once per spectrum, of which the line-spread function may be known."""
        channels, scalars = preprocess(flux, ivar, self.window)
        summary = jnp.concatenate([self.cnn(channels.swapaxes(1, 2)), *width, scalars], axis=-1)
        correlation = self.correlate(channels)
        if self.learned:
            found = jnp.tanh(self.learn(channels) / 4) * (ivar > 0)[:, None]
            correlation += correlated(found, self.learned_trial, self.bin_pixels, self.bins)
        return AlignedEmbedding(channels, self.logits(correlation, summary), summary)

    def condition(
        self, embedding: AlignedEmbedding, rows: Int[Array, " pairs"], k: Int[Array, " pairs"]
    ) -> Float[Array, "pairs condition"]:
        """The density's condition at classes: aligned at their redshift bin, given their source."""
        bins = k % self.bins
        if embedding.projections is None:
            lines = self.project(embedding.channels[rows], bins)
        else:
            lines = embedding.projections[rows, :, :, bins]
        return self.condition_of(lines, embedding.summary[rows], bins, k // self.bins)

    def described(self, embedding: AlignedEmbedding) -> Float[Array, "batch features"]:
        """The condition at the most probable class."""
        best = embedding.logits.argmax(-1)
        return self.condition(embedding, jnp.arange(len(best)), best)

    def spread(self, embedding: AlignedEmbedding) -> AlignedEmbedding:
        """With the projections at all bins, by FFT."""
        return embedding._replace(projections=self.project_everywhere(embedding.channels))

    def started(self, variables: dict, data: tuple[Array, ...], k: Int[Array, " batch"]) -> dict:
        """Templates at the principal components of simulations in the rest frame."""
        return principal_templates(self, variables, *data[:2], k % self.bins)

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

    def logits(self, correlation, summary) -> Float[Array, "batch classes"]:
        """A small perceptron shared by all bins, on each bin and its two neighbours."""
        edge = jnp.pad(correlation, ((0, 0), (0, 0), (1, 1)))
        near = [edge[..., i : i + self.bins] for i in range(3)]
        near = jnp.concatenate(near, axis=1).swapaxes(1, 2)
        first, second, last = self.logit
        scalars = summary[:, None, -4:]
        h = nn.gelu(first(near) + self.quality(scalars))
        h = nn.gelu(second(h))
        return last(h).swapaxes(1, 2).reshape(len(h), -1)  # classes: source by source, all bins

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
        source: Int[Array, " batch"],
    ) -> Float[Array, "batch condition"]:
        """The condition at one redshift bin and source per spectrum, from its projections there."""
        norm = jnp.sqrt((lines**2).sum(-1, keepdims=True) + 1e-3)
        lines = jnp.concatenate([lines, 4 * lines / norm, jnp.log(norm)], axis=-1)
        lines = lines.reshape(lines.shape[0], -1)
        position = bins[:, None] / self.bins
        near = jnp.log10(position + 1e-3)
        h = jnp.concatenate([lines, summary, position, near], axis=-1)
        if self.sources > 1:
            h = jnp.concatenate([h, jax.nn.one_hot(source, self.sources)], axis=-1)
        shortcut = self.shortcut(h)
        for dense in self.mix[:-1]:
            h = nn.gelu(dense(h))
        return shortcut + self.mix[-1](h)
