"""What stars of other abundances, and other libraries of stars, would change.

The changes are curves of ln(flux) in the rest frame with free amplitudes (`stars.load_responses`,
`stars.load_library_errors`); a galaxy feels of each what the populations do that give its light.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike
from scipy.ndimage import gaussian_filter1d

from flowspec.sim.galaxy import stars
from flowspec.sim.galaxy.weights import linear_weights
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.template import Templates, interpolated, resampled

# km/s, of the galaxy and the instrument together: what features of elements are blurred to, and
# between which they are interpolated; they are tabulated at the first
BLURS = (60.0, 95.0, 140.0, 200.0, 290.0, 420.0, 900.0, 1900.0)
_STEP, _COARSE = 2e-4, 2e-2  # of ln(wavelength)
_LEVEL = 5500.0  # angstrom, where light is weighed


class StellarCurves(eqx.Module):
    """Responses of a table of populations, in standard deviations of their amplitudes.

    Attributes:
        elements: To abundances, of old populations, at each of `BLURS` in turn.
        strength: Share of them that each age bin feels [elements, ages].
        scatter: Between galaxies, dex [elements].
        errors: Of libraries, by age bin [errors, ages, n].
        start: ln(wavelength) of the first point of these.
        light: Of each age bin at 5500 angstrom, at solar metallicity [ages].
        names: Of the elements.
    """

    elements: Templates
    strength: np.ndarray
    scatter: np.ndarray
    errors: Float[Array, "errors ages n"]
    start: float = eqx.field(static=True)
    light: np.ndarray
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, table: stars.StellarTable, pixels: int):
        at = int(np.abs(table.wave - _LEVEL).argmin()), int(np.abs(table.log_z).argmin())
        self.light = np.asarray(table.flux[at[1], :, at[0]], float)
        known = stars.load_responses()
        self.names, self.strength, self.scatter = known.names, known.strength, known.scatter
        rows, start = resampled(known.wave, known.curve * known.scatter[:, None], _STEP)
        more = np.sqrt(np.square(BLURS[1:]) - BLURS[0] ** 2) / C_KMS / _STEP
        rows = np.concatenate([rows, *(gaussian_filter1d(rows, s, axis=1) for s in more)])
        none = jnp.zeros((0, pixels))
        self.elements = Templates(jnp.asarray(rows, jnp.float32), none, start, _STEP)
        errors = stars.load_library_errors()
        flat = errors.curve.reshape(-1, len(errors.wave))
        rows, self.start = resampled(errors.wave, flat, _COARSE)
        self.errors = jnp.asarray(rows.reshape(*errors.curve.shape[:2], -1), jnp.float32)

    @property
    def counts(self) -> dict[str, int]:
        """Latents by name."""
        return {"element": len(self.names), "library": len(self.errors)}

    def rows(
        self, mass: Float[Array, " ages"], ln_wave: Float[Array, " pixels"], z: ScalarLike,
        blur: ScalarLike,
    ) -> dict[str, Array]:  # fmt: skip
        """Changes of ln(flux) on observed pixels [latents, pixels] by name.

        Args:
            mass: Formed in each age bin.
            ln_wave: Of the pixels.
            z: Redshift.
            blur: km/s, dispersion of the galaxy and the instrument together.
        """
        felt = stars.felt_by(self.strength, mass, self.light)
        errors = stars.felt_by(self.errors, mass, self.light)
        return {
            "element": felt[:, None] * self.blurred(blur).at(ln_wave, z),
            "library": interpolated(errors, (ln_wave - jnp.log1p(z) - self.start) / _COARSE),
        }

    def blurred(self, blur: ScalarLike) -> Templates:
        """The responses to elements as they are seen with a dispersion."""
        weights = linear_weights(jnp.log(blur), np.log(BLURS))
        rows = self.elements.rest.reshape(len(BLURS), len(self.names), -1)
        return eqx.tree_at(lambda t: t.rest, self.elements, jnp.einsum("b,ben->en", weights, rows))

    def typical(self, dispersion: ScalarLike) -> Float[Array, " elements"]:
        """Mean amplitudes of the responses to elements, in their scatter."""
        return stars.typical_abundances(self.names, dispersion) / self.scatter
