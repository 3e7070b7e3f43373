"""Line fluxes on a grid of photoionisation models: any named parameters, any named lines."""


import numpy as np

from flowspec.data.line_grid import LineGrid, line_grid
from flowspec.sim.galaxy.nebula import load_nebula

MAPPINGS = "MAPPINGS V H II regions of NebulaBayes 0.9.9 (Thomas et al. 2018), MIT licence"


def mappings() -> LineGrid:
    """The grid shipped with flowspec: MAPPINGS V over `log_u`, `log_pk` and `oh`."""
    table = load_nebula()
    mesh = np.meshgrid(table.log_u, table.log_pk, table.oh, indexing="ij")
    points = np.stack([axis.ravel() for axis in mesh], axis=1)
    log_flux = np.asarray(table.log_flux, float).reshape(len(points), -1)
    flux = np.where(log_flux <= -5 + 1e-6, 0.0, 10**log_flux)  # the table's floor means "less"
    names = ("log_u", "log_pk", "oh")
    return line_grid(points, flux, names, table.names, floor=1e-5, source=MAPPINGS)
