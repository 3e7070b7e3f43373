"""The network of `benchmarks.mtopnet`, which says where it differs from the published one."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from flowspec.networks.channels import CHANNELS, preprocess


class Block(nn.Module):
    """Two convolutions of three pixels around a shortcut [batch, pixels, width]."""

    @nn.compact
    def __call__(self, x):
        h = x
        for _ in range(2):
            h = nn.Conv(x.shape[-1], (3,))(nn.relu(nn.LayerNorm()(h)))
        return x + h


class MTopNet(nn.Module):
    """From fluxes and inverse variances to logits and standardised labels.

    Attributes:
        bins: Redshift bins.
        channels: Which channels of `preprocess` make the spectrum.
        patch: Pixels per patch of the first layer.
        widths: Channels of each stage, at half the resolution of the one before.
        blocks: Residual blocks per stage.
        hidden: Units of the shared layer.
        dropout: Share of its units dropped in training.
        window: Pixels of the running mean taken as the continuum.
    """

    bins: int
    channels: tuple[int, ...] = tuple(range(CHANNELS))
    patch: int = 8
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    hidden: int = 256
    dropout: float = 0.2
    window: int = 101

    @nn.compact
    def __call__(self, flux, ivar, train: bool = False):
        """Logits of redshift bins and line channels, and labels [batch, 2]."""
        channels, scalars = preprocess(flux, ivar, self.window)
        spectrum = channels[:, np.array(self.channels)].swapaxes(1, 2)
        x = nn.Dense(self.widths[0])(merged(spectrum, self.patch))
        for i, width in enumerate(self.widths):
            x = nn.Dense(width)(merged(x, 2)) if i else x
            for _ in range(self.blocks):
                x = Block()(x)
        features = nn.relu(nn.Dense(self.hidden)(nn.relu(x).reshape(len(x), -1)))
        continuum = merged(channels[:, 3, :, None], 32).mean(-1)
        continuum = nn.relu(nn.Dense(64)(jnp.concatenate([continuum, scalars], -1)))
        located = nn.relu(nn.Dense(128)(features))
        lines = nn.Dense(flux.shape[1])(located)
        shared = jnp.concatenate([features, continuum, located], -1)
        shared = nn.relu(nn.Dense(self.hidden)(shared))
        shared = nn.Dropout(self.dropout, deterministic=not train)(shared)
        heads = [nn.Dense(n)(nn.relu(nn.Dense(128)(shared))) for n in (self.bins, 1, 1)]
        return heads[0], lines, jnp.concatenate(heads[1:], -1)


def merged(x, patch: int):
    """Neighbouring pixels as channels of one [batch, pixels / patch, patch * channels]."""
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % patch), (0, 0)))
    return x.reshape(len(x), -1, patch * x.shape[-1])
