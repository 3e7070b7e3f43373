"""What galaxies have that the models lack, as a few templates with random amplitudes.

Each is a change of ln(flux): of rest-frame templates, which move with the redshift, or of templates
on the instrument's pixels.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike


class Templates(eqx.Module):
    """Changes of ln(flux) by one standard deviation each.

    Attributes:
        rest: On an even grid of ln(rest-frame wavelength), 0 outside it [templates, n].
        observed: On the pixels of the instrument [templates, pixels].
        start: ln(wavelength) of the first point of `rest`.
        step: Of its grid.
    """

    rest: Float[Array, "templates n"]
    observed: Float[Array, "others pixels"]
    start: float = eqx.field(static=True)
    step: float = eqx.field(static=True)

    @classmethod
    def none(cls, pixels: int) -> "Templates":
        """Without any."""
        return cls(jnp.zeros((0, 2)), jnp.zeros((0, pixels)), 0.0, 1.0)

    @property
    def counts(self) -> dict[str, int]:
        """Latents by name, for a layout."""
        counts = {"rest": len(self.rest), "observed": len(self.observed)}
        return {name: count for name, count in counts.items() if count}

    def at(
        self, ln_wave: Float[Array, " pixels"], z: ScalarLike
    ) -> Float[Array, "templates pixels"]:
        """The rest-frame templates at a redshift, on observed pixels."""
        place = (ln_wave - jnp.log1p(z) - self.start) / self.step
        inside = (place >= 0) & (place <= self.rest.shape[1] - 1)
        return jnp.where(inside, interpolated(self.rest, place), 0.0)


def interpolated(
    rows: Float[Array, "templates n"], place: Float[Array, " pixels"]
) -> Float[Array, "templates pixels"]:
    """Rows at fractional places, linearly; at their ends' values beyond."""
    last = rows.shape[1] - 1
    place = jnp.clip(place, 0, last)
    left = jnp.clip(jnp.floor(place), 0, max(last - 1, 0)).astype(int)
    share = place - left
    return (1 - share) * rows[:, left] + share * rows[:, jnp.minimum(left + 1, last)]


def resampled(
    wave: Float[np.ndarray, " n"], rows: Float[np.ndarray, "templates n"], step: float
) -> tuple[Float[np.ndarray, "templates m"], float]:
    """Templates on an even grid of ln(wavelength), and where it starts."""
    x = np.arange(np.log(wave[0]), np.log(wave[-1]), step)
    return np.stack([np.interp(x, np.log(wave), row) for row in rows]), float(x[0])
