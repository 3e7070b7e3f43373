"""The network that tells summaries of observations from those of simulations."""

import flax.linen as nn
from jaxtyping import Array, Float


class DomainClassifier(nn.Module):
    """Logit of a summary being that of an observation, not of a simulation."""

    width: int = 64

    @nn.compact
    def __call__(self, x: Float[Array, "batch features"]) -> Float[Array, " batch"]:
        for _ in range(2):
            x = nn.gelu(nn.Dense(self.width)(x))
        return nn.Dense(1)(x)[..., 0]
