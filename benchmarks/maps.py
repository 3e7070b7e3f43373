"""A galaxy from maps of lines to maps of parameters: seconds, memory, and the gradient.

An inclined disc with straight radial gradients of O/H, log U and A_V; the light of H-beta falls
exponentially, and so does the signal-to-noise ratio. Lines are those of PHANGS-MUSE, as MAPPINGS V
has them; each errs by the error that the model takes its grid to have, spaxel by spaxel, and by
the noise. Foreground stars and what is beyond the edge are masked. The command is that of users:
``flowspec predict maps.fits --model nebula -o out.fits``.
"""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from astropy.io import fits

from benchmarks import harness
from flowspec import NebulaSimulator, plots
from flowspec.cli import main
from flowspec.cli.outputs import save
from flowspec.sim.nebula.grid import mappings

IMAGES = {"HB4861": "Hbeta", "OIII5006": "[OIII]5007", "OI6300": "[OI]6300", "HA6562": "Halpha",
          "NII6583": "[NII]6584", "SII6716": "[SII]6717", "SII6730": "[SII]6731"}  # fmt: skip
# At the centre, and its change to the edge of the disc.
TRUTH = {"log_u": (-3.2, 0.5), "log_pk": (6.0, 0.0), "oh": (8.9, -0.5), "av": (1.2, -0.8)}
TILT = 0.7  # minor over major axis
SCALE = 0.3  # of the light, in radii of the edge
PEAK = 60.0  # signal-to-noise ratio of H-beta at the centre
STARS, STAR = 40, 0.015  # in the foreground, and the radius that each masks
INNER = 0.6  # radius within which the median spaxel has a signal-to-noise ratio above 5
RINGS = np.linspace(0, 1, 6)


def run(
    *,
    spaxels: int = 1_000_000,
    model: str = "nebula",
    draws: int = 500,
    figures: str = "",
    seed: int = 0,
) -> dict:
    """Maps of one galaxy.

    Args:
        spaxels: Of the square image.
        model: Name of a shipped model or a model file.
        draws: Posterior draws per spaxel.
        figures: Folder for maps.png.
        seed: Of the galaxy and the draws.
    """
    side = round(spaxels**0.5)
    radius, truth, flux = galaxy(side, seed)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "maps.fits", Path(folder) / "out.fits"
        write(source, flux)
        words = ["predict", source, "--model", model, "-o", target, "--num-samples", draws,
                 "--seed", seed, "--quiet"]  # fmt: skip
        predict = [str(word) for word in words]
        (status, wall, cpu), peak, extra = harness.peak_memory(harness.clocked, main, predict)
        if status:
            raise ValueError(f"expected maps of {source.name}; got exit status {status}")
        maps = {hdu.name: np.asarray(hdu.data) for hdu in fits.open(target)[1:]}
        size = target.stat().st_size
    seen = np.isfinite(maps["OH"])
    if figures:
        draw(Path(figures), maps, truth)
    return {
        "spaxels": side**2,
        "spaxels with data": int(seen.sum()),
        "draws": draws,
        "seconds, with loading and compiling": wall,
        "spaxels_per_s": int(seen.sum()) / wall,
        "spaxels_per_cpu_s": int(seen.sum()) / cpu,
        "memory_gb": peak,
        "extra_memory_gb": extra,
        "bytes of the maps per spaxel": size / side**2,
        **scored(maps, truth, radius),
    }


def galaxy(side: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Radius [y, x] in radii of the edge, true parameters [y, x], observed fluxes [lines, y, x] in
    units of their error, NaN where masked."""
    rng = np.random.default_rng(seed)
    y, x = (np.indices((side, side)) + 0.5) / side * 2 - 1
    radius = np.hypot(x, y / TILT)
    truth = {name: start + change * radius for name, (start, change) in TRUTH.items()}
    masked = radius > 1
    for star in rng.uniform(-1, 1, (STARS, 2)):
        masked |= np.hypot(x - star[0], y - star[1]) < 2 * STAR
    rows = np.stack([truth[name][~masked] for name in TRUTH], axis=1)
    ratio, err = ratios(NebulaSimulator(mappings(), [*IMAGES.values()]), rows)
    bright = PEAK * np.exp(-radius[~masked] / SCALE)[:, None]
    clean = bright * (ratio + err * rng.standard_normal(ratio.shape))
    flux = np.full((len(IMAGES), side, side), np.nan, np.float32)
    flux[:, ~masked] = (clean + rng.standard_normal(clean.shape)).T
    return radius, truth, flux


def ratios(sim: NebulaSimulator, rows: np.ndarray, at_once: int = 65536) -> list[np.ndarray]:
    """Dimmed fluxes relative to H-beta, and the error of the models [rows, lines] each."""
    order = jnp.array([[*TRUTH].index(name) for name in sim.names])
    each = jax.jit(jax.vmap(lambda theta: sim.ratios(theta[order], jnp.int32(0), jnp.float32(0))))
    parts = [each(jnp.asarray(rows[i : i + at_once], jnp.float32))
             for i in range(0, len(rows), at_once)]  # fmt: skip
    return [np.concatenate([np.asarray(part[k]) for part in parts]) for k in range(2)]


def write(path: Path, flux: np.ndarray) -> None:
    """Maps as PHANGS-MUSE has them, with errors of 1."""
    side = flux.shape[-1]
    sky = fits.Header({
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 24.174, "CRVAL2": 15.784,
        "CRPIX1": side / 2, "CRPIX2": side / 2, "CD1_1": -0.2 / 3600, "CD2_2": 0.2 / 3600,
        "CUNIT1": "deg", "CUNIT2": "deg", "BUNIT": "1e-20 erg/s/cm2/spaxel",
    })  # fmt: skip
    images = []
    for name, values in zip(IMAGES, flux, strict=True):
        images += [fits.ImageHDU(values, sky, f"{name}_FLUX"),
                   fits.ImageHDU(np.ones_like(values), sky, f"{name}_FLUX_ERR")]  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)


def scored(maps: dict[str, np.ndarray], truth: dict[str, np.ndarray], radius: np.ndarray) -> dict:
    """Medians, widths and the gradient of O/H against the truth."""
    told = np.isfinite(maps["OH"])
    results = {}
    for name in truth:
        low, middle, high = (maps[name.upper() + end][told] for end in ("_P16", "", "_P84"))
        known = truth[name][told]
        results[name] = {
            "bias": float(np.median(middle - known)),
            "in the 68 % interval": float(((low < known) & (known < high)).mean()),
        }
    results["O/H by ring"] = {
        f"{a:.1f}-{b:.1f}": {
            "truth": float(truth["oh"][ring].mean()),
            "median": float(np.median(maps["OH"][ring])),
            "median S/N": float(np.median(maps["SNR"][ring])),
        }
        for a, b in zip(RINGS, RINGS[1:], strict=False)
        if (ring := told & (radius >= a) & (radius < b)).any()
    }
    # within a radius, not above a signal-to-noise ratio, by which chance would choose as well
    for words, rows in {"all": told, f"within {INNER:g}": told & (radius < INNER)}.items():
        slope, zero = gradient(maps, radius, rows)
        results[f"gradient of O/H, {words}"] = {
            "spaxels": int(rows.sum()), "slope": slope, "centre": zero,
            "true slope": TRUTH["oh"][1], "true centre": TRUTH["oh"][0],
        }  # fmt: skip
    return results


def gradient(maps: dict[str, np.ndarray], radius: np.ndarray, rows: np.ndarray) -> list[float]:
    """Slope and value at the centre of the line through medians, weighted by their widths."""
    width = (maps["OH_P84"] - maps["OH_P16"])[rows] / 2
    return np.polyfit(radius[rows], maps["OH"][rows], 1, w=1 / width).tolist()


def draw(folder: Path, maps: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> None:
    """Truth, median and half-width of each parameter."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("oh", "log_u", "av")
    figure, axes = plots.canvas(len(names), 3, size=(4.2, 3.2))
    for (true, middle, wide), name in zip(axes, names, strict=True):
        known = np.where(np.isfinite(maps["OH"]), truth[name], np.nan)
        limits = float(np.nanmin(known)), float(np.nanmax(known))
        half = (maps[f"{name.upper()}_P84"] - maps[f"{name.upper()}_P16"]) / 2
        plots.sky_map(true, known, f"{plots.label(name)}, truth", limits=limits)
        plots.sky_map(middle, maps[name.upper()], f"{plots.label(name)}, median", limits=limits)
        plots.sky_map(wide, half, "half of the 68 % interval")
    save(figure, folder / "maps.png")
