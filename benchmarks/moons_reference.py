"""Signal-to-noise ratio per channel of the instrument `moons` against moons1d's own simulator.

moons1d cannot share an environment with flowspec; make one for it first::

    python -m venv moons1d-env
    moons1d-env/bin/pip install --no-deps moons1d==1.0.3
    moons1d-env/bin/pip install configobj synphot spectres matplotlib pyparsing

Each case is compared twice: with flowspec as it is, and with flowspec's response and sky put
through what moons1d 1.0.3 does otherwise (`as_moons1d`), which must then agree.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.moons1d_cases import CASES
from flowspec.sim.instrument.exposure import ExposureNoise
from flowspec.sim.instrument.fibre import fibre_fraction
from flowspec.sim.instrument.moons import load_channels

ARMS = {"RI": (6400, 9340), "YJ": (9340, 13500), "H": (14500, 18000)}
GAIN = 0.6  # counts per electron of the RI detector in moons1d; 1 in the other arms
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#000000")


def reference(python: str) -> list[np.ndarray]:
    """Wavelength and S/N [2, channels] of each case, by moons1d in its own environment."""
    script = Path(__file__).with_name("moons1d_cases.py")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "cases.npz"
        plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        subprocess.run([python, str(script), str(out)], check=True, capture_output=True,
                       env=plain | {"MPLBACKEND": "Agg"}, cwd=folder)  # fmt: skip
        with np.load(out, allow_pickle=False) as file:
            return [
                np.concatenate([file[f"{i}-{arm}"] for arm in ARMS], 1) for i in range(len(CASES))
            ]


def exposure(case: tuple) -> tuple[np.ndarray, np.ndarray, ExposureNoise]:
    """Wavelength, flux and noise of a point source of flat f_nu."""
    mag, hours, dit, airmass, seeing, _ = case
    channels = load_channels(airmass)
    wave = channels.wave
    flux = 3.6308e-20 * 10 ** (-0.4 * mag) * 2.99792458e18 / wave**2 * 1e17
    fraction = fibre_fraction(wave, 0.0, seeing=seeing, airmass=airmass)
    return wave, flux, ExposureNoise(channels, fraction[None], np.zeros(1), hours=(hours,), dit=dit)


def arms_of(wave: np.ndarray) -> np.ndarray:
    """Number of the arm of each channel."""
    return np.searchsorted([low for low, _ in ARMS.values()], wave, "right") - 1


def as_moons1d(wave: np.ndarray, noise: ExposureNoise, mode: str) -> tuple[ExposureNoise, float]:
    """The noise as moons1d 1.0.3 computes it, and what its S/N is to be multiplied by [channels].

    It converts flux to photons at the centre of each arm, dims the sky by the fibre losses of a
    point source, and mixes electrons with counts where the gain is not 1.
    """
    arm = arms_of(wave)
    centre = np.array([wave[arm == a].mean() for a in range(3)])[arm]
    gain = jnp.asarray(np.where(arm == 0, GAIN, 1.0), jnp.float32)
    switched = mode == "XSWITCH"
    changed = (
        noise.response * jnp.asarray(centre / wave, jnp.float32),
        noise.sky * noise.fraction[0],
        noise.dark / gain,
        noise.read / (jnp.sqrt(gain) if switched else gain),
    )
    noise = eqx.tree_at(lambda n: (n.response, n.sky, n.dark, n.read), noise, changed)
    return noise, np.sqrt(gain) if switched else np.ones(len(wave))


def signal_to_noise(case: tuple) -> tuple[np.ndarray, np.ndarray]:
    """S/N per channel by flowspec, and by flowspec as moons1d would have it."""
    wave, flux, noise = exposure(case)
    other, factor = as_moons1d(wave, noise, case[-1])
    light = jnp.asarray(flux, jnp.float32)
    ivar = (np.asarray(n.ivar(light, case[1], 0.0)) for n in (noise, other))
    mine, same = (flux * np.sqrt(v) for v in ivar)
    return mine, same * factor


def run(*, moons1d_python: str = "moons1d-env/bin/python", figure: str = "") -> dict:
    """Median, 5th and 95th percentile of the ratio to moons1d for each case and arm.

    Args:
        moons1d_python: Interpreter of the environment that has moons1d.
        figure: File to draw the comparison to; none if empty.
    """
    results, curves = {}, []
    for (name, case), (wave, theirs) in zip(
        CASES.items(), reference(moons1d_python), strict=True
    ):
        mine, same = signal_to_noise(case)
        arm, rows = arms_of(wave), {}
        for i, band in enumerate(ARMS):
            inside = arm == i
            for label, snr in (("", mine), ("same conventions ", same)):
                ratio = (snr / theirs)[inside]
                low, middle, high = np.percentile(ratio, [5, 50, 95])
                rows[f"{band} {label}median"] = round(float(middle), 3)
                rows[f"{band} {label}5-95 %"] = f"{low:.3f}-{high:.3f}"
            rows[f"{band} same conventions within 10 %"] = round(
                float((np.abs(ratio - 1) < 0.1).mean()), 4
            )
            rows[f"{band} moons1d median S/N"] = round(float(np.median(theirs[inside])), 3)
        results[name] = rows
        curves.append((name, wave, mine, theirs, same))
    if figure:
        draw(curves, figure)
    return results


def smoothed(wave, values, width=60):
    """Medians of every `width` channels of each arm, the gap left open."""
    for i in range(3):
        inside = np.flatnonzero(arms_of(wave) == i)
        parts = np.array_split(inside, len(inside) // width)
        yield [wave[p].mean() / 1e4 for p in parts], [np.median(values[p]) for p in parts]


def draw(curves: list, file: str) -> None:
    """S/N per channel of every case, and its ratio to moons1d's in both conventions."""
    size, ratios = (9.0, 9.5), {"height_ratios": (2.2, 1.2, 1.2)}
    figure, axes = plt.subplots(3, 1, figsize=size, sharex=True, gridspec_kw=ratios)
    for (name, wave, mine, theirs, same), colour in zip(curves, COLOURS, strict=True):
        lines = (
            (axes[0], theirs, 3.5, 0.35),
            (axes[0], mine, 1.1, 1.0),
            (axes[1], mine / theirs, 1.3, 1.0),
            (axes[2], same / theirs, 1.3, 1.0),
        )
        for axis, values, line, alpha in lines:
            for i, (x, y) in enumerate(smoothed(wave, values)):
                label = name if i == 0 and values is mine else None
                axis.plot(x, y, color=colour, lw=line, alpha=alpha, label=label)
    axes[0].set(yscale="log", ylabel="S/N per channel", ylim=(0.15, 700))
    axes[0].set_title("MOONS, point sources of flat $f_\\nu$: flowspec (thin), moons1d (broad)\n"
                      "(medians of 60 channels)", fontsize=11)  # fmt: skip
    axes[0].legend(fontsize=8, ncols=2, loc="upper left")
    axes[1].set(ylabel="flowspec / moons1d", ylim=(0.45, 1.75))
    axes[2].set(ylabel="the same, in\nmoons1d's conventions", ylim=(0.8, 1.2))
    axes[2].set_xlabel("wavelength (micron)")
    for axis in axes[1:]:
        axis.axhspan(0.9, 1.1, color="0.9", zorder=0)
        axis.axhline(1, color="0.5", lw=0.8, zorder=0)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
