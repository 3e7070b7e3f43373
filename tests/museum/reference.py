"""Numbers of model files on fixed inputs, by which a change of the code is known to change none.

`python -m tests.museum.reference [NAME ...]` writes `reference.json` anew: only where numbers are
meant to change. Inputs are made of NumPy alone, so that they depend on no simulator.
"""

import json
import sys
from pathlib import Path

import numpy as np

import flowspec as fs

FOLDER = Path(__file__).parent
FILE = FOLDER / "reference.json"
DRAWS, SEED = 400, 3
# Model -> typical flux and redshifts of its mock spectra.
SPECTRA = {
    "optical": (5.0, (0.05, 1.2)),
    "prism": (0.005, (1.0, 8.0)),
    "sdss": (5.0, (0.05, 0.32)),
    "sdss@0.1": (5.0, (0.05, 0.32)),
    "vandels": (0.1, (2.9, 4.6)),
    "vandels@0.1": (0.1, (2.9, 4.6)),
    "moons": (0.3, (0.8, 2.1)),
    "moons@0.1": (0.3, (0.8, 2.1)),
    "early-spectra": (1.0, (0.15, 0.42)),
    "spectra": (1.0, (0.15, 0.42)),
}
LINES = ("nebula", "cloudy", "lines")
_REST = {1216.0: 3.0, 2800.0: 0.5, 3728.5: 2.5, 4862.7: 1.0, 5008.2: 2.0, 6564.6: 3.0, 6585.3: 0.8}
_LINE_RATIOS = {
    "[OII]3726,3729": 2.5, "Hgamma": 0.47, "[OIII]4363": 0.02, "Hbeta": 1.0, "[OIII]4959": 0.9,
    "[OIII]5007": 2.7, "[OI]6300": 0.06, "Halpha": 3.3, "[NII]6584": 0.5, "[SII]6717": 0.35,
    "[SII]6731": 0.25, "[ArIII]7136": 0.08,
}  # fmt: skip


def model(name: str):
    """A model of the museum, or a shipped one."""
    own = FOLDER / f"{name}.safetensors"
    return fs.load(own if own.is_file() else name)


def inputs(name: str, posterior) -> fs.Spectra | fs.Lines:
    """Six mock observations, from good to nothing but noise, one with a gap."""
    return mock_spectra(posterior.wave, *SPECTRA[name]) if name in SPECTRA else mock_lines()


def mock_spectra(wave: np.ndarray, level: float, redshifts: tuple[float, float]) -> fs.Spectra:
    """A power law with a break and lines, at signal-to-noise ratios of 30 to 0."""
    rng = np.random.default_rng(20261125)
    snr = np.array([30.0, 12.0, 6.0, 3.0, 12.0, 0.0])
    z = np.resize(np.linspace(*redshifts, 4), 6)
    rest = wave / (1 + z[:, None])
    shape = (rest / 4000) ** -0.8 * (1 - 0.35 / (1 + np.exp((rest - 4000) / 60)))
    for place, strength in _REST.items():
        shape += strength * np.exp(-0.5 * (np.log(rest / place) * 3e5 / 250) ** 2)
    sigma = level / np.maximum(snr, 1.0)[:, None] * (1 + 0.5 * (wave / wave[-1]) ** 8)
    flux = level * shape * (snr > 0)[:, None] + sigma * rng.standard_normal(shape.shape)
    ivar = sigma**-2.0
    ivar[4, len(wave) // 3 : len(wave) // 2] = 0
    return fs.Spectra(wave, flux, ivar)


def mock_lines() -> fs.Lines:
    """Rows of a catalogue: all lines, few, limits, and faint ones."""
    rng = np.random.default_rng(20261125)
    flux = np.tile(list(_LINE_RATIOS.values()), (6, 1)) * rng.lognormal(0, 0.25, (6, 12))
    err = 0.02 * flux + np.array([0.003, 0.01, 0.03, 0.1, 0.01, 0.5])[:, None]
    flux = flux + err * rng.standard_normal(flux.shape)
    limit = np.full(flux.shape, np.nan)
    limit[4, flux[4] < 5 * err[4]] = 3 * err[4, flux[4] < 5 * err[4]]
    flux[4, flux[4] < 5 * err[4]] = np.nan
    flux[2, ::3] = np.nan
    return fs.Lines(list(_LINE_RATIOS), flux, err, limit)


def numbers(name: str, posterior, theta=None) -> dict:
    """What a model says of its inputs, JSON-ready.

    Args:
        name: Of the model.
        posterior: Of the model.
        theta: Parameters at which the density is wanted [n, batch, params]; by default draws.
    """
    obs = inputs(name, posterior)
    if theta is None:
        theta = np.asarray(posterior.sample(obs, 5, seed=SEED), float).round(6)
    table = posterior.summarize(obs, n=DRAWS, seed=SEED)
    single = ("z_best", "z_prob", "p_value", "coverage")
    kept = [c for c in table.colnames if c[-4:-2] == "_p" or c in single]
    kept += [c for c in table.colnames if c.startswith("p_") and c != "p_value"]
    return {
        "theta": np.asarray(theta).tolist(),
        "log_prob": np.asarray(posterior.log_prob(np.asarray(theta, np.float32), obs)).tolist(),
        "flags": np.asarray(table["flags"]).tolist(),
        "table": {c: np.asarray(table[c], float).tolist() for c in kept},
    }


def widths(posterior, theta: np.ndarray) -> list[float]:
    """Distance between the 0.5th and 99.5th percentile of each parameter's prior."""
    prior = posterior.model.space.priors[0]
    ends = [np.asarray(prior.to_constrained(np.full(theta.shape[-1], x))) for x in (-2.58, 2.58)]
    return (ends[1] - ends[0]).tolist()


def main(names: list[str]) -> None:
    """Write the numbers of some models, or of every one."""
    found = json.loads(FILE.read_text()) if names else {}
    for name in names or (*SPECTRA, *LINES):
        posterior = model(name)
        found[name] = numbers(name, posterior)
        found[name]["widths"] = widths(posterior, np.asarray(found[name]["theta"]))
    FILE.write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
