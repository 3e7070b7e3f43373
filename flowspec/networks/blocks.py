"""Parts of networks of spectra: convolutions in patches, and correlations by FFT."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class Residual(nn.Module):
    """``x + W2 gelu(W1 norm(x))``."""

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
        h = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, name="norm")(x)
        h = nn.gelu(nn.Dense(self.width, name="first")(h))
        return x + nn.Dense(self.width, name="second")(h)


class PatchCNN(nn.Module):
    """Observed-frame summary: a patchify stem (kernel = stride), residual blocks, one dense layer.

    The stem runs an order of magnitude faster on CPUs than a full-resolution convolution.
    """

    width: int
    patch: int
    outputs: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch pixels channels"]) -> Float[Array, "batch outputs"]:
        stem = nn.Conv(self.width, (self.patch,), self.patch, padding="VALID", name="stem")
        x = nn.gelu(stem(x))
        for i in range(2):
            h = nn.LayerNorm(name=f"norm_{i}")(x)
            h = nn.Conv(self.width, (3,), padding="SAME", name=f"near_{i}")(h)
            x = x + nn.Dense(self.width, name=f"mix_{i}")(nn.gelu(h))
        return nn.gelu(nn.Dense(self.outputs, name="last")(x.reshape(x.shape[0], -1)))


class ChannelCNN(nn.Module):
    """Channels learned from the fixed ones, pixel for pixel: what is a line and what is sky, say.

    Patches and their neighbours, for the same reason as in `PatchCNN`.
    """

    channels: int
    patch: int = 16
    width: int = 48

    @nn.compact
    def __call__(
        self, channels: Float[Array, "batch channels pixels"]
    ) -> Float[Array, "batch learned pixels"]:
        batch, count, pixels = channels.shape
        x = jnp.pad(channels, ((0, 0), (0, 0), (0, -pixels % self.patch))).swapaxes(1, 2)
        x = nn.Dense(self.width, name="stem")(x.reshape(batch, -1, self.patch * count))
        for i in range(3):
            h = nn.gelu(nn.LayerNorm(name=f"norm_{i}")(x))
            h = nn.Conv(self.width, (3,), name=f"near_{i}")(h)
            x = x + nn.Dense(self.width, name=f"mix_{i}")(nn.gelu(h))
        x = nn.Dense(self.patch * self.channels, name="last")(nn.gelu(x))
        return x.reshape(batch, -1, self.channels)[:, :pixels].swapaxes(1, 2)


def correlated(
    x: Float[Array, "batch channels pixels"],
    template: Float[Array, "channels templates rest"],
    bin_pixels: int,
    bins: int,
) -> Float[Array, "batch templates bins"]:
    """``sum_ci x[c, i] template[c, t, i + bins - 1 - bin]`` for every bin, by FFT.

    The FFT is as long as the template: what wraps around is none of the shifts wanted.

    Args:
        x: Channels on the pixels of the grid.
        template: On pixels `bin_pixels` times coarser, to which the channels are summed.
        bin_pixels: Pixels per redshift bin.
        bins: Redshift bins.
    """
    x = jnp.pad(x, ((0, 0), (0, 0), (0, -x.shape[-1] % bin_pixels)))
    x = x.reshape(*x.shape[:2], -1, bin_pixels).sum(-1)
    length = fast_length(template.shape[-1])
    x, template = jnp.fft.rfft(x, length).conj(), jnp.fft.rfft(template, length)
    product = sum(x[:, c, None] * template[c] for c in range(len(template)))
    return jnp.fft.irfft(product, length)[..., :bins][..., ::-1]


def shift_into(x: Float[Array, "channels pixels"], start: Int[Array, ""], length: int):
    """Place ``x`` at pixel ``start`` of a grid of ``length`` zeros."""
    blank = jnp.zeros((x.shape[0], length), x.dtype)
    return jax.lax.dynamic_update_slice(blank, x, (0, start))


def fast_length(length: int) -> int:
    """Least even number >= length of the form 2^a 3^b 5^c, for which FFTs are fast."""
    powers = [2**a * 3**b * 5**c for a in range(1, 15) for b in range(4) for c in range(3)]
    return min(n for n in powers if n >= length)


def principal_components(x: np.ndarray, count: int) -> np.ndarray:
    """Mean and leading components [count, n] of rows x [rows, n], scaled to projections near one.

    Through the Gram matrix, because there are fewer rows than columns; rows are few enough that
    components past the number of rows are zero.
    """
    mean = x.mean(0)
    centred = x - mean
    values, vectors = np.linalg.eigh(centred @ centred.T)
    values, vectors = values[::-1][: count - 1], vectors[:, ::-1][:, : count - 1]
    components = (vectors.T @ centred) / np.sqrt(np.maximum(values, 1e-6))[:, None]
    basis = np.concatenate([mean[None] / (np.linalg.norm(mean) + 1e-6), components])
    return (basis / ((x @ basis.T).std(0)[:, None] + 0.3)).astype(np.float32)
