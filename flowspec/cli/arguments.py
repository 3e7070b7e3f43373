"""What can be said on the command line. Light: nothing here computes or reads a file."""

import argparse
from importlib.metadata import version

from flowspec.adaptation.settings import METHODS, Adaptation
from flowspec.cli import texts
from flowspec.cli.values import column, positive, total, whole
from flowspec.train.settings import OPTIMISERS, Training

_CHOSEN = ", or 'auto': for each spectrum the shipped one that it is for"


class _Parser(argparse.ArgumentParser):
    """Errors in one line, like all others."""

    def error(self, message):
        self.exit(2, f"error: {message} (see '{self.prog} --help')\n")


def parser() -> argparse.ArgumentParser:
    """All commands; the parsed arguments have `module`, which has the function `run`."""
    top = _parser(_Parser, "flowspec", "Calibrated posteriors from galaxy spectra.", texts.START)
    top.add_argument("--version", action="version", version=f"flowspec {version('flowspec')}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_predict, _plot, _view, _inspect, _models, _demo, _simulate, _fit, _diagnose):
        add(commands)
    return top


def _parser(make, name, about, epilog="", **kwargs):
    return make(
        name,
        description=about,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **kwargs,
    )


def _command(commands, name: str, about: str, epilog: str, module: str = ""):
    command = _parser(commands.add_parser, name, about, epilog, help=about)
    command.add_argument("--traceback", action="store_true",
                         help="after an error, show where in the program it arose")
    words = command.add_mutually_exclusive_group()
    words.add_argument("-v", "--verbose", action="store_true",
                       help="show every note with its time, and warnings of libraries")
    words.add_argument("-q", "--quiet", action="store_true",
                       help="show only warnings and errors, no notes and no progress")
    command.set_defaults(module=module or f"flowspec.cli.{name}")
    return command


def _predict(commands):
    c = _command(commands, "predict", "posteriors of spectra, from a trained model", texts.PREDICT)
    c.add_argument("spectra", nargs="+", metavar="SPECTRA",
                   help="files, patterns or folders")
    _add_model(c, more=_CHOSEN)
    c.add_argument("-o", "--output", required=True, metavar="TABLE",
                   help="table: .ecsv, .fits, .csv, .vot, .xml, .parquet or .h5; a folder with "
                        "--dask")
    c.add_argument("--samples", metavar="FILE", help="write the samples too, to this HDF5 file")
    c.add_argument("--redshift-pdf", metavar="FILE",
                   help="write the density of the redshift in bins too, to this HDF5 file")
    c.add_argument("--plots", metavar="FOLDER", help="draw figures as 'flowspec plot' does")
    _add_figures(c, "with --plots: ")
    _add_draws(c, 500)
    text = "weight the posteriors to the galaxies of a survey instead of the model's flat prior"
    c.add_argument("--population", action="store_true", help=text)
    c.add_argument("--total", type=total, metavar="COLUMN[:ERROR]:BAND",
                   help="AB magnitudes of whole galaxies, a column of SPECTRA, and their band, as "
                        "in PETRO_I:sdss_i, for total mass and rate beside those in the aperture")
    _add_lines(c)
    _add_seed(c)
    c.add_argument("--by-name", action="store_true", help="key what is random by the name of each "
                   "row, not by its number: the same draws in any order and company")
    _add_reading(c)
    group = c.add_argument_group("many workers")
    group.add_argument("--dask", nargs="?", const="", metavar="WHERE", help="by Dask, to a folder "
                       "of Parquet files, by name: a number of workers on this machine (one per "
                       "core), or the address or the file of a scheduler")
    group.add_argument("--rows", type=whole(1), default=8192, metavar="N",
                       help="with --dask: rows of HDF5 or Parquet to a file (%(default)s)")


def _view(commands):
    about = "a page to look at spectra or lines with their posteriors, offline, in a browser"
    c = _command(commands, "view", about, texts.VIEW)
    c.add_argument("spectra", nargs="+", metavar="FILES",
                   help="spectra, as for predict, or lines; or a table of predict, alone")
    _add_model(c, required=False, more=f"{_CHOSEN}; needless with a table, which tells it")
    c.add_argument("-o", "--output", required=True, metavar="FOLDER",
                   help="where index.html is written")
    c.add_argument("--rows", metavar="TABLE",
                   help="show only the rows that this table of predict names, in its order")
    c.add_argument("--fits", type=whole(0), default=20, metavar="N",
                   help="fit the forward model to the first N spectra (%(default)s)")
    c.add_argument("--title", default="", metavar="TEXT", help="heading of the page")
    _add_draws(c, None, "500, or those of the table")
    c.add_argument("--grid", nargs="+", default=[], metavar="[SOURCE=]GRID",
                   help="lines: the grids of the model, to show what they cover")
    _add_lines(c)
    _add_seed(c, None, "0, or that of the table")
    _add_reading(c)
    c.set_defaults(by_name=False, population=False, redshift_pdf=None, total=None)


def _plot(commands):
    about = "a figure per spectrum or line-catalogue row, to judge its posterior by"
    c = _command(commands, "plot", about, texts.PLOT)
    c.add_argument("spectra", nargs="+", metavar="FILE", help="files, patterns or folders")
    _add_model(c, more=_CHOSEN)
    c.add_argument("-o", "--output", required=True, metavar="FIGURE",
                   help="a name that ends in .png, for one row, or a folder")
    _add_figures(c)
    _add_draws(c, 2000)
    _add_lines(c)
    _add_seed(c)
    _add_reading(c)
    c.set_defaults(by_name=False, population=False, redshift_pdf=None, total=None)


def _inspect(commands):
    c = _command(commands, "inspect", "what is understood of files, and which models fit them",
                 texts.INSPECT)
    c.add_argument("files", nargs="+", metavar="FILE", help="files or patterns")
    _add_reading(c)


def _models(commands):
    about = "what the shipped models are and how each was made"
    c = _command(commands, "models", about, texts.MODELS)
    c.add_argument("models", nargs="*", metavar="MODEL", help="model files (default: the shipped)")


def _demo(commands):
    about = "try it on mock galaxies: a table, figures, and what to do next"
    c = _command(commands, "demo", about, texts.DEMO)
    c.add_argument("-o", "--output", default="flowspec-demo", metavar="FOLDER", help="%(default)s")


def _simulate(commands):
    c = _command(commands, "simulate", "simulated spectra with their parameters", texts.SIMULATE)
    c.add_argument("instrument", metavar="INSTRUMENT",
                   help="sdss, desi, 4most, muse, vandels, optical, prism, moons or moons-coarse")
    c.add_argument("--n", type=whole(1), default=1000, metavar="N", help="how many (%(default)s)")
    c.add_argument("-o", "--output", required=True, metavar="FILE", help="HDF5 file to write")
    c.add_argument("--noise-from", nargs="+", default=[], metavar="SPECTRA",
                   help="observed spectra to take the noise from (default: typical noise)")
    c.add_argument("--texp", nargs="+", type=positive, metavar="HOURS",
                   help="moons: exposure times, each as likely (2 4 8)")
    c.add_argument("--magnitudes", nargs=2, type=float, metavar=("BRIGHT", "FAINT"),
                   help="moons: range of H (AB) (21 25.5)")
    _add_seed(c)
    _add_reading(c)


def _fit(commands):
    c = _command(commands, "fit", "train a model on simulations", texts.FIT)
    source = c.add_mutually_exclusive_group(required=True)
    source.add_argument("--instrument", metavar="NAME",
                        help="sdss, desi, 4most, muse, vandels, optical, prism or moons-coarse")
    source.add_argument("--simulations", metavar="FILE", help="HDF5 file of simulations")
    source.add_argument("--grid", nargs="+", metavar="[SOURCE=]GRID",
                        help="photoionisation grids, for a model of emission lines: files that "
                             "flowspec.read_grid reads, each with the name of what ionises, or "
                             "'mappings', the one shipped with flowspec")
    c.add_argument("--lines", nargs="+", metavar="LINE",
                   help="with --grid: lines of the model (those that all grids have)")
    c.add_argument("--clouds", choices=("single", "mixture"), default="single",
                   help="with --grid: nebulae of one cloud, or of many that differ in ionisation "
                        "and density, with N/O and S/O free (%(default)s)")
    c.add_argument("--model-error", type=positive, metavar="SHARE",
                   help="with --grid: how wrong its fluxes may be, 1 sigma (0.1; with --clouds "
                        "mixture the usual error of each line)")
    text = ("observed spectra, with --grid line catalogues, to take the noise from and to adapt "
            "to; their labels, if any, are not used")
    c.add_argument("observed", nargs="*", metavar="SPECTRA", help=text)
    c.add_argument("-o", "--output", required=True, metavar="MODEL", help="model file to write")
    c.add_argument("--population", type=float, default=0.0, metavar="SHARE",
                   help="so much of the prior is the galaxies that are really there, the rest flat")
    c.add_argument("--varied", action="store_true",
                   help="coarser pixels, shorter ranges and gaps among the training spectra, for a "
                        "model that takes other spectrographs")
    c.add_argument("--start", metavar="MODEL", help="train this model further, on simulations "
                   "as observations have taught it, if they have")
    c.add_argument("--checkpoint", metavar="FILE", help="write while training; resume if there")
    _add_seed(c)
    training = c.add_argument_group("training")
    for name, text in (
        ("steps", "optimiser steps at most"),
        ("batch", "spectra per step"),
        ("validation", "simulations held out to stop early"),
        ("evaluate", "steps between looks at these, and checkpoints"),
        ("patience", "looks without progress before it stops"),
    ):
        least = 0 if name == "steps" else 1
        training.add_argument(f"--{name}", type=whole(least), default=getattr(Training, name),
                              metavar="N", help=f"{text} (%(default)s)")
    training.add_argument("--learning-rate", type=positive, default=Training.learning_rate,
                          metavar="RATE", help="its peak (%(default)s)")
    training.add_argument("--optimiser", choices=OPTIMISERS, default=Training.optimiser,
                          help="how steps are taken (%(default)s)")
    group = c.add_argument_group("domain adaptation")
    group.add_argument("--adapt", choices=METHODS, default="none",
                       help="make summaries of simulations and observations alike, if that helps "
                            "(%(default)s)")
    group.add_argument("--adapt-steps", type=whole(1), default=Adaptation.steps, metavar="N",
                       help="steps of each method (%(default)s)")
    _add_reading(c)


def _diagnose(commands):
    about = "calibration of a model on fresh simulations"
    c = _command(commands, "diagnose", about, texts.DIAGNOSE)
    _add_model(c)
    c.add_argument("--n", type=whole(10), default=2000, metavar="N",
                   help="simulations (%(default)s)")
    c.add_argument("-o", "--output", required=True, metavar="FOLDER", help="where to put it")
    source = c.add_mutually_exclusive_group()
    source.add_argument("--simulations", metavar="FILE",
                        help="HDF5 file of simulations, for models of a simulator of your own")
    source.add_argument("--survey", metavar="FILE",
                        help="HDF5 file of 'flowspec simulate moons': report by magnitude, "
                             "exposure time, redshift, strength of lines and type")
    source.add_argument("--gap", nargs="+", metavar="SPECTRA",
                        help="observed spectra, without labels: how they differ from simulations")
    c.add_argument("--noise-from", nargs="+", default=[], metavar="SPECTRA",
                   help="observed spectra to take the noise from, as in the training")
    c.add_argument("--grid", nargs="+", default=[], metavar="[SOURCE=]GRID",
                   help="of a model of emission lines: the grids that it was trained on, as of fit")
    _add_draws(c, 300)
    _add_seed(c)
    _add_reading(c)


def _add_model(command, *, required=True, more=""):
    text = "name of a shipped model (see 'flowspec models') or a model file"
    command.add_argument("--model", required=required, metavar="MODEL", help=text + more)


def _add_draws(command, count, said="%(default)s"):
    command.add_argument("--num-samples", type=whole(100), default=count, metavar="N",
                         help=f"posterior samples per spectrum ({said})")


def _add_figures(command, when=""):
    command.add_argument("--top", type=whole(1), default=20, metavar="N",
                         help=f"{when}draw the N rows of highest signal-to-noise (%(default)s)")
    command.add_argument("--parameters", nargs="+", default=[], metavar="NAME",
                         help=f"{when}of the corner plot (log_mstar log_sfr av oh, or the first "
                              "four of the model)")


def _add_lines(command):
    group = command.add_argument_group("emission lines")
    group.add_argument("--dereddened", action="store_true", help="fluxes are corrected for dust")
    group.add_argument("--suffix", metavar="TEXT", help="columns are lines with this after them, "
                       "such as _FLUX_CORR, and this with _ERR their errors")


def _add_seed(command, seed=0, said="%(default)s"):
    text = f"of all that is random ({said})"
    command.add_argument("--seed", type=whole(0, 2**64 - 1), default=seed, metavar="N", help=text)


def _add_reading(command):
    group = command.add_argument_group("where files do not say, or say it wrongly")
    group.add_argument("--flux-unit", metavar="UNIT", help="such as '1e-18 erg/s/cm2/A' or Jy")
    group.add_argument("--wave-unit", metavar="UNIT", help="such as nm or um")
    group.add_argument("--air", action="store_true", default=None, help="wavelengths are in air")
    group.add_argument("--column", dest="columns", action="append", type=column, default=[],
                       metavar="ROLE=NAME",
                       help="column of wave, loglam, flux, ivar, var, err or lsf")
    group.add_argument("--resolving-power", type=positive, metavar="R",
                       help="wavelength over full width of a narrow line, such as 2000")
