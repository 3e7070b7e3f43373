"""flowspec: calibrated posteriors from galaxy spectra, by simulation-based inference."""

from flowspec.data.lines import Lines as Lines
from flowspec.data.spectra import Spectra as Spectra
from flowspec.fitting import fit as fit
from flowspec.io import read as read
from flowspec.io import read_grid as read_grid
from flowspec.io import read_lines as read_lines
from flowspec.io import stream as stream
from flowspec.io import write as write
from flowspec.line_fitting import fit_lines as fit_lines
from flowspec.model.model import Architecture as Architecture
from flowspec.posterior.line_posterior import LinePosterior as LinePosterior
from flowspec.posterior.load import load as load
from flowspec.posterior.load import shipped as shipped
from flowspec.posterior.posterior import Posterior as Posterior
from flowspec.posterior.screening import Flag as Flag
from flowspec.prior.galaxies import Population as Population
from flowspec.prior.prior import Prior as Prior
from flowspec.sim.galaxy.simulator import GalaxySimulator as GalaxySimulator
from flowspec.sim.nebula.catalogues import NebulaSimulator as NebulaSimulator
from flowspec.sim.nebula.spectra import NebulaSpectra as NebulaSpectra
from flowspec.sim.user import CallableSimulator as CallableSimulator
from flowspec.sim.user import Simulations as Simulations
from flowspec.train.loop import Training as Training
