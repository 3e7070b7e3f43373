"""Templates of a network begun at the principal components of simulations in the rest frame."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flowspec.networks.blocks import principal_components
from flowspec.networks.channels import CHANNELS, preprocess
from flowspec.networks.network import Network, merged


def principal_templates(
    network: Network,
    variables: dict,
    flux: Float[Array, "batch pixels"],
    ivar: Float[Array, "batch pixels"],
    bins: Int[Array, " batch"],
) -> dict:
    """Start the templates at the principal components of simulated spectra in the rest frame.

    The classical redshift fitter's basis, as a starting point: training then needs a few hundred
    steps to pass what random templates reach in thousands.

    Args:
        network: `AlignedNetwork`.
        variables: Its variables from ``init``.
        flux: About a thousand simulated spectra.
        ivar: Their inverse variances.
        bins: Their true redshift bins.

    Returns:
        The variables with both sets of templates replaced.
    """
    channels, _ = preprocess(flux, ivar, network.window)
    rest = np.asarray(network.to_rest(channels, bins))
    aligned = [principal_components(rest[:, c], network.aligned) for c in range(CHANNELS)]
    joint = principal_components(rest.reshape(len(rest), -1), network.templates)
    trial = joint.reshape(network.templates, CHANNELS, -1)
    step = network.bin_pixels
    coarse = variables["params"]["trial"].shape[-1]
    trial = np.pad(trial, ((0, 0), (0, 0), (0, coarse * step - trial.shape[-1])))
    trial = trial.reshape(*trial.shape[:2], coarse, step).mean(-1)
    rest = jnp.asarray(np.stack(aligned).swapaxes(1, 2))
    return merged(variables, trial=jnp.asarray(trial.swapaxes(0, 1)), rest=rest)
