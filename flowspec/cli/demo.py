"""`flowspec demo`: the main job from end to end on mock galaxies whose true values are known."""

import time
from argparse import Namespace
from pathlib import Path

import numpy as np

from flowspec import plots
from flowspec.cli.figures import Gallery
from flowspec.cli.outputs import make_folder, save, write_table
from flowspec.io import read
from flowspec.io.sdss import write_sdss
from flowspec.posterior.load import load
from flowspec.posterior.simulators import simulator_of
from flowspec.posterior.summary import summarized
from flowspec.sim.galaxy.mocks import KINDS, Mocks, mock_galaxies, own_sky

MODEL, SEED, DRAWS = "sdss", 20, 1000
MOCKS, TABLE, PAGES = 60, 10, 3  # galaxies; of these in the printed table, and with a figure
# What is printed and drawn: parameter, words, digits.
SHOWN = {
    "z": ("redshift", 5), "log_mstar": ("log mass [M_sun]", 2),
    "log_sfr": ("log SFR [M_sun/yr]", 2), "av": ("dust A_V [mag]", 2),
}  # fmt: skip
INTRO = """\
flowspec measures galaxies from their spectra. A neural network has learned from simulated spectra
what a spectrum tells: for each galaxy it gives a probability distribution of redshift, mass in
stars, star-formation rate (SFR), dust and more. Here it is tried on galaxies whose truth is known.
"""
NEXT = """
Look at
  {folder}/galaxy-*.png   three galaxies: spectrum and best model, redshift, other parameters
  {folder}/recovered.png  found against true values, all galaxies
  {folder}/results.ecsv   everything that was found, a row per galaxy; columns say what they are

Then try it on your own spectra (FITS of SDSS, DESI, MUSE, JWST ..., or tables):
  flowspec inspect my-spectrum.fits                                   which model fits it?
  flowspec predict my-spectra/ --model sdss -o results.ecsv --plots figures/
  flowspec view my-spectra/ --model sdss -o page     a page to look at all of them (needs plotly)
The spectra of this demo are files as well, to repeat it by hand:
  flowspec predict {folder}/spectra --model sdss -o again.ecsv
"""


def run(args: Namespace) -> None:
    """Mock galaxies as files, their posteriors, a table of what is found, figures.

    Raises:
        ValueError: If the output is no folder.
        OSError: If a file cannot be written.
    """
    folder, start = make_folder(args.output), time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - start:4.0f} s] {text}", flush=True)

    print(INTRO)
    say(f"loading the model '{MODEL}'; the first run prepares programs, for a minute or two")
    posterior = load(MODEL)
    sim = simulator_of(posterior, MODEL)
    kinds = list(KINDS)
    mocks = mock_galaxies(sim, MOCKS, seed=SEED, sky=own_sky)
    files = write_sdss(folder / "spectra", mocks.obs)
    say(f"{MOCKS} galaxies of {len(kinds)} kinds ({', '.join(kinds)}), seen as the Sloan survey "
        f"(SDSS) sees them: {folder}/spectra")
    obs = read(files)
    table, answers = summarized(posterior, obs, n=DRAWS)
    write_table(table, folder / "results.ecsv")
    say(f"found in all {MOCKS}:")
    print_recovered(mocks, answers.samples, table, posterior.names)
    draw_recovered(folder / "recovered.png", mocks.theta, answers.samples, posterior.names)
    say(f"drawing {PAGES} of them, with the best model of each")
    draw_pages(folder, posterior, obs, table, answers, mocks)
    say("done")
    print(NEXT.format(folder=folder))


def print_recovered(mocks: Mocks, samples: np.ndarray, table, names: tuple[str, ...]) -> None:
    """Found against true values of a few galaxies, then how well each parameter does.

    Args:
        mocks: The galaxies.
        samples: Draws [draws, batch, params].
        table: Of the results.
        names: Of the parameters.
    """
    low, median, high = np.percentile(samples, [16, 50, 84], axis=0)
    columns = {name: names.index(name) for name in SHOWN}
    head = "".join(f"{SHOWN[name][0]:>24}" for name in columns)
    print(f"{'':14}{head}   reservations\n{'kind':14}{'true   found':>24}"
          + f"{'true   found ± error':>24}" * (len(columns) - 1))
    for row in range(TABLE):
        cells = ""
        for name, i in columns.items():
            digits, error = SHOWN[name][1], (high - low)[row, i] / 2
            found = f"{median[row, i]:.{digits}f}"
            found += "" if name == "z" else f" ± {error:.{digits}f}"
            cells += f"{f'{mocks.theta[row, i]:.{digits}f}   {found}':>24}"
        print(f"{mocks.kind[row]:14}{cells}   {table['flag_names'][row] or 'none'}".rstrip())
    print_by_kind(mocks, low, median, high, columns)
    unlike = [k for k, f in zip(mocks.kind, table["flag_names"], strict=True) if "unlike" in f]
    print(f"{len(unlike)} are flagged 'unlike_data', {unlike.count('Seyfert 1')} of them of the "
          "kind that the model does not know: Seyfert 1, with broad lines\n")


def print_by_kind(mocks: Mocks, low, median, high, columns: dict[str, int]) -> None:
    """Median of found - true, and the share of true values within the stated error, by kind.

    Args:
        mocks: The galaxies.
        low, median, high: Percentiles 16, 50 and 84 [batch, params].
        columns: Name to number of a parameter.
    """
    print(f"\n{'by kind':14}" + f"{'offset   within error':>24}" * len(columns)
          + "   (0.68 within is right)")
    for kind in KINDS:
        rows = np.array([k == kind for k in mocks.kind])
        cells = ""
        for name, i in columns.items():
            offset = np.median((median - mocks.theta)[rows, i])
            inside = ((mocks.theta > low) & (mocks.theta < high))[rows, i].mean()
            cells += f"{f'{offset:+.{SHOWN[name][1]}f}   {inside:.2f}':>24}"
        print(f"{kind:14}{cells}")
    print("These are galaxies as there are, not drawn from the prior that the model has learned "
          "from:\nkinds that it fares badly with stand out. On draws of it: flowspec diagnose.")


def draw_recovered(path: Path, truth: np.ndarray, samples: np.ndarray, names) -> None:
    """Found against true values of the parameters of `SHOWN`.

    Args:
        path: PNG file.
        truth: [batch, params].
        samples: [draws, batch, params].
        names: Of the parameters.
    """
    figure, axes = plots.canvas(1, len(SHOWN), size=(3.6, 3.8))
    quantiles = np.percentile(samples, [16, 50, 84], axis=0)
    for ax, i in zip(axes[0], map(names.index, SHOWN), strict=True):
        plots.recovered(ax, truth[:, i], quantiles[..., i], names[i])
    save(figure, path)


def draw_pages(folder: Path, posterior, obs, table, answers, mocks: Mocks) -> None:
    """A figure of the first galaxy of a few kinds, as `flowspec plot` draws them."""
    rows = list(range(PAGES))
    gallery = Gallery(posterior, MODEL, PAGES, quick=True)
    gallery.offer(obs[rows], table[rows], answers._replace(
        samples=answers.samples[:, rows], source=answers.source[:, rows],
        share=answers.share[rows]))
    truths = {obs.names[row]: mocks.theta[row] for row in rows}
    for path in gallery.write(folder, truths):
        path.replace(path.with_name(path.name.replace("spec-", "galaxy-", 1)))
