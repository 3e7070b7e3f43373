"""All figures of `examples/figures`, by one command.

`galaxies` need nothing: mock galaxies of the demo, and three rows of lines. `calibration` is that
of two shipped models on fresh simulations. `nebulae` need the test data, and `moons` a Python with
moons1d (`benchmarks/moons_reference.py`), which `python` names.
"""

import time
from pathlib import Path

import numpy as np

import flowspec as fs
from benchmarks import moons_reference, real_nebulae
from flowspec import plots
from flowspec.cli.diagnose import draw_calibration, prior_box, simulated
from flowspec.cli.figures import Gallery
from flowspec.cli.outputs import make_folder, save
from flowspec.posterior.simulators import simulator_of
from flowspec.posterior.summary import summarized
from flowspec.sim.galaxy.mocks import mock_galaxies, own_sky

PARTS = ("galaxies", "calibration", "nebulae", "moons")
CORNER = ("log_mstar", "log_sfr", "av", "oh")
# Three made-up rows: a region of star formation with a limit, an active nucleus, little data.
LINES = ("Hbeta", "[OIII]5007", "Halpha", "[NII]6584", "[SII]6717,6731", "[OII]3726,3729",
         "[OIII]4363")  # fmt: skip
FLUX = [[100, 150, 330, 95, 70, 220, np.nan]]
ERR = [[3, 4, 9, 4, 4, 10, np.nan]]
LIMIT = [[np.nan] * 6 + [3.0]]


def run(
    *, folder: str = "examples/figures", only: str = "", python: str = "", n: int = 2000,
    seed: int = 20,
) -> dict:  # fmt: skip
    """Draw them.

    Args:
        folder: Where to.
        only: One of the parts: galaxies, calibration, nebulae or moons; "" for all.
        python: That of an environment with moons1d; without it `moons` is left out.
        n: Simulations of a calibration.
        seed: Of mock galaxies and simulations.

    Returns:
        Seconds per part.
    """
    if only and only not in PARTS:
        raise ValueError(f"expected only= one of {', '.join(PARTS)}; got {only!r}")
    where, seconds = make_folder(folder), {}
    for part in PARTS:
        if part == only or (not only and (part != "moons" or python)):
            start = time.perf_counter()
            draw(part, where, python, n, seed)
            seconds[part] = time.perf_counter() - start
    return {"seconds": seconds}


def draw(part: str, folder: Path, python: str, n: int, seed: int) -> None:
    """The figures of one part."""
    if part == "galaxies":
        draw_galaxies(folder, seed)
        draw_lines(folder)
    elif part == "calibration":
        for model in ("sdss", "vandels"):
            draw_model(folder, model, n, seed)
    elif part == "nebulae":
        real_nebulae.run(figures=str(folder))
    else:
        moons_reference.run(moons1d_python=python, figure=str(folder / "moons_snr.png"))


def draw_galaxies(folder: Path, seed: int) -> None:
    """spectra.png, corner.png, redshifts.png and galaxy.png of mock galaxies, with the truth."""
    post = fs.load("sdss")
    sim = simulator_of(post, "sdss")
    mocks = mock_galaxies(sim, 10, seed=seed, sky=own_sky)
    table, answers = summarized(post, mocks.obs, n=4000)
    rows = list(range(3))  # of three kinds
    gallery = Gallery(post, "sdss", 1)
    best = answers._replace(samples=answers.samples[:, 1:2], source=answers.source[:, 1:2],
                            share=answers.share[1:2])  # fmt: skip
    gallery.offer(mocks.obs[1], table[1:2], best)
    gallery.write(folder / "galaxy.png", {mocks.obs.names[1]: mocks.theta[1]})
    fitted = sim.fit(mocks.obs[rows], answers.samples[:4, rows])
    bands = sim.band(fitted)
    figure, axes = plots.canvas(6, 1, size=(11.0, 2.0), heights=(3, 1) * 3)
    for row in rows:
        pair = axes[2 * row : 2 * row + 2, 0]
        plots.fit(pair, mocks.obs.wave, fitted, row, band=bands[row], z=float(table["z_best"][row]))
        pair[1].set_xlabel("observed wavelength [Å]" if row == 2 else "")
        for ax in pair:
            ax.yaxis.label.set_fontsize(8)
        pair[0].text(0.995, 0.97, f"{mocks.kind[row]}, z = {table['z_best'][row]:.4f}", va="top",
                     ha="right", transform=pair[0].transAxes,
                     bbox={"fc": "white", "ec": "none", "pad": 1})
    save(figure, folder / "spectra.png")
    chosen = [post.names.index(name) for name in CORNER]
    corner = plots.corner(answers.samples[:, 1, chosen], CORNER, truth=mocks.theta[1, chosen])
    save(corner, folder / "corner.png")
    figure, axes = plots.canvas(size=(8.0, 5.0))
    edges, density = post.redshift_pdf(mocks.obs, np.linspace(0, 0.2, 201))
    plots.redshift_pdf(axes[0, 0], edges, density, truth=mocks.theta[:, 0], names=mocks.kind)
    save(figure, folder / "redshifts.png")


def draw_lines(folder: Path) -> None:
    """nebula.png: a made-up region of star formation."""
    post, obs = fs.load("nebula"), fs.Lines(LINES, FLUX, ERR, LIMIT, ["a region of star formation"])
    gallery = Gallery(post, "nebula", 1)
    gallery.offer(obs, *summarized(post, obs, n=2000))
    gallery.write(folder / "nebula.png")


def draw_model(folder: Path, model: str, n: int, seed: int) -> None:
    """calibration_MODEL.png."""
    post = fs.load(model)
    theta, obs = simulated(simulator_of(post, model), n, seed)
    samples = post.sample(obs, 300, seed=seed)
    box = prior_box(post, theta)
    draw_calibration(folder / f"calibration_{model}.png", samples, theta, post.names, box)
