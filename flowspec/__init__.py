"""flowspec: calibrated posteriors from galaxy spectra, by simulation-based inference."""

from flowspec.fit import fit as fit
from flowspec.io import read as read
from flowspec.io import read_grid as read_grid
from flowspec.io import read_lines as read_lines
from flowspec.io import stream as stream
from flowspec.io import write as write
from flowspec.line_fit import fit_lines as fit_lines
from flowspec.line_posterior import LinePosterior as LinePosterior
from flowspec.lines import Lines as Lines
from flowspec.load import load as load
from flowspec.load import shipped as shipped
from flowspec.model import Architecture as Architecture
from flowspec.posterior import Posterior as Posterior
from flowspec.screening import Flag as Flag
from flowspec.sim.galaxy import GalaxySimulator as GalaxySimulator
from flowspec.sim.nebula_lines import NebulaSimulator as NebulaSimulator
from flowspec.sim.nebula_spectra import NebulaSpectra as NebulaSpectra
from flowspec.sim.population import Population as Population
from flowspec.sim.prior import Prior as Prior
from flowspec.sim.user import CallableSimulator as CallableSimulator
from flowspec.sim.user import Simulations as Simulations
from flowspec.spectra import Spectra as Spectra
from flowspec.train import Training as Training
