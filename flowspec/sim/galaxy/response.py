"""What stars of other abundances, and other libraries of stars, would change.

The changes are curves of ln(flux) in the rest frame (`stars.load_responses`) with free amplitudes;
a galaxy feels as much of each as the populations do that give its light.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike
from scipy.ndimage import gaussian_filter1d

from flowspec.sim.galaxy import stars
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.template import Templates, resampled

KINDS = ("element", "library")  # nuisances
BLUR = 150.0  # km/s: a typical dispersion, which features of abundances are seen with
_STEP = 2e-4  # of ln(wavelength)
_LEVEL = 5500.0  # angstrom, where light is weighed


class StellarCurves(eqx.Module):
    """Responses of a table of populations, in standard deviations of their amplitudes.

    Attributes:
        curves: By kind, on an even grid of ln(wavelength).
        strength: By kind, share that each age bin feels [n, ages].
        light: Of each age bin at 5500 angstrom, at solar metallicity [ages].
    """

    curves: dict[str, Templates]
    strength: dict[str, np.ndarray]
    light: Float[np.ndarray, " ages"]

    def __init__(self, table: stars.StellarTable, pixels: int):
        at = int(np.abs(table.wave - _LEVEL).argmin()), int(np.abs(table.log_z).argmin())
        self.light = np.asarray(table.flux[at[1], :, at[0]], float)
        self.curves, self.strength = {}, {}
        for kind in KINDS:
            known = stars.load_responses(kind=kind)
            rows, start = resampled(known.wave, known.curve * known.scatter[:, None], _STEP)
            if kind == "element":
                rows = gaussian_filter1d(rows, BLUR / C_KMS / _STEP, axis=1)
            none = jnp.zeros((0, pixels))
            self.curves[kind] = Templates(jnp.asarray(rows, jnp.float32), none, start, _STEP)
            self.strength[kind] = known.strength

    @property
    def counts(self) -> dict[str, int]:
        """Latents by kind."""
        return {kind: len(curve.rest) for kind, curve in self.curves.items()}

    def rows(
        self, kind: str, mass: Float[Array, " ages"], ln_wave: Float[Array, " pixels"],
        z: ScalarLike,
    ) -> Float[Array, "n pixels"]:  # fmt: skip
        """Changes of ln(flux) on observed pixels of a galaxy that formed `mass` in each age bin."""
        felt = stars.felt_by(self.strength[kind], mass, self.light)
        return felt[:, None] * self.curves[kind].at(ln_wave, z)
