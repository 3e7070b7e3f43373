"""What observations taught a simulator of spectra: kept with the model that was trained on it."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from flowspec.sim.latent import Layout, Learned
from flowspec.sim.residual import Residual
from flowspec.sim.template import Templates

PREFIX = "lesson."


class Lesson(eqx.Module):
    """Nuisances and noise as observations have them, for a simulator of the same prior.

    Attributes:
        learned: Distribution of the latents of all nuisances at given parameters.
        templates: What the simulator lacked.
        residual: The noise.
        layout: Of the latents, those of the templates last.
    """

    learned: Learned
    templates: Templates
    residual: Residual
    layout: Layout = eqx.field(static=True)

    def taught(self, sim):
        """A simulator, such as `flowspec.GalaxySimulator`, that draws what the lesson says.

        Args:
            sim: Of the instrument, the prior and the nuisances of the one that was taught.

        Raises:
            ValueError: If its nuisances are others.
        """
        new = sim.with_templates(self.templates)
        if tuple(new.layout) != tuple(self.layout):
            raise ValueError(f"expected a simulator of the nuisances {self._told()}, which were "
                             f"taught; got {dict(zip(*new.layout, strict=True))}")
        return eqx.tree_at(lambda s: (s.learned, s.residual), new, (self.learned, self.residual),
                           is_leaf=lambda x: x is None)

    def _told(self) -> dict[str, int]:
        return dict(zip(*self.layout, strict=True))

    def config(self) -> dict:
        """What of it is no array, JSON-ready."""
        place = {"start": self.templates.start, "step": self.templates.step}
        return {"latents": self._told()} | place

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a model file."""
        rest = {"rest": self.templates.rest, "observed": self.templates.observed}
        return {f"{PREFIX}{name}": np.atleast_1d(array) for name, array in
                (vars(self.learned) | vars(self.residual) | rest).items()}

    @classmethod
    def restored(cls, config: dict | None, arrays: dict[str, np.ndarray]) -> "Lesson | None":
        """From the parts of a model file; None if its simulator was taught nothing.

        Raises:
            KeyError: If one is missing.
        """
        if config is None:
            return None
        own = {name.removeprefix(PREFIX): jnp.asarray(array) for name, array in arrays.items()
               if name.startswith(PREFIX)}
        templates = Templates(own.pop("rest"), own.pop("observed"), config["start"], config["step"])
        learned = Learned(*(own.pop(name) for name in ("mean", "slopes", "factor")))
        numbers = {name: own[name].reshape(()) for name in ("scatter", "outliers", "reach")}
        return cls(learned, templates, Residual(**own | numbers), Layout.of(config["latents"]))
