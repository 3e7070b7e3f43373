"""A transformer (experimental) in the place of the convolutions that summarise a spectrum."""

import flax.linen as nn
from jaxtyping import Array, Float

from flowspec.networks.aligned import AlignedNetwork


class PatchTransformer(nn.Module):
    """Observed-frame summary: patches as tokens, blocks of attention, their mean.

    Blocks normalise first (Xiong et al. 2020, arXiv:2002.04745); places are learned.
    """

    width: int
    patch: int
    outputs: int
    heads: int = 4
    blocks: int = 2

    @nn.compact
    def __call__(self, x: Float[Array, "batch pixels channels"]) -> Float[Array, "batch outputs"]:
        x = nn.Conv(self.width, (self.patch,), self.patch, padding="VALID", name="stem")(x)
        x += self.param("places", nn.initializers.normal(0.02), x.shape[1:])
        for i in range(self.blocks):
            h = nn.LayerNorm(name=f"norm_{i}")(x)
            x += nn.MultiHeadDotProductAttention(self.heads, name=f"attention_{i}")(h, h)
            h = nn.LayerNorm(name=f"between_{i}")(x)
            h = nn.gelu(nn.Dense(2 * self.width, name=f"wide_{i}")(h))
            x += nn.Dense(self.width, name=f"narrow_{i}")(h)
        return nn.gelu(nn.Dense(self.outputs, name="last")(nn.LayerNorm(name="norm")(x).mean(1)))


class TransformerNetwork(AlignedNetwork):
    """`AlignedNetwork` whose observed-frame summary is that of a small transformer."""

    def summary_network(self) -> nn.Module:
        """Tokens of 32 pixels."""
        return PatchTransformer(64, min(32, self.pixels), self.summary)
