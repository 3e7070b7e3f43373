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
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.template import Templates, interpolated, resampled

BLUR = 150.0  # km/s: a typical dispersion, which features of abundances are seen with
_STEP, _COARSE = 2e-4, 2e-2  # of ln(wavelength)
_LEVEL = 5500.0  # angstrom, where light is weighed


class StellarCurves(eqx.Module):
    """Responses of a table of populations, in standard deviations of their amplitudes.

    Attributes:
        elements: To abundances, of old populations.
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
        rows = gaussian_filter1d(rows, BLUR / C_KMS / _STEP, axis=1)
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
        self, mass: Float[Array, " ages"], ln_wave: Float[Array, " pixels"], z: ScalarLike
    ) -> dict[str, Array]:
        """Changes of ln(flux) on observed pixels [latents, pixels] by name.

        Args:
            mass: Formed in each age bin.
            ln_wave: Of the pixels.
            z: Redshift.
        """
        felt = stars.felt_by(self.strength, mass, self.light)
        errors = stars.felt_by(self.errors, mass, self.light)
        return {
            "element": felt[:, None] * self.elements.at(ln_wave, z),
            "library": interpolated(errors, (ln_wave - jnp.log1p(z) - self.start) / _COARSE),
        }

    def typical(self, dispersion: ScalarLike) -> Float[Array, " elements"]:
        """Mean amplitudes of the responses to elements, in their scatter."""
        return stars.typical_abundances(self.names, dispersion) / self.scatter
