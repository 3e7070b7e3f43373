"""Train the model of H II regions as mixtures of clouds.

Errors of the models are learned line by line, without labels, from half of the galaxies of DESI
with direct temperatures (`benchmarks.mixtures`); other lines have the usual ones. A checkpoint lies
beside the model; a run that was stopped goes on from there.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

import flowspec as fs
from benchmarks import harness
from benchmarks.cloudy_grids import FILES, GRIDS
from benchmarks.mixtures import LINES, desi, simulator
from flowspec.check.line_errors import line_errors

NAMES = (
    "[OII]3726,3729", "[NeIII]3869", "Hdelta", "Hgamma", "[OIII]4363", "Hbeta", "[OIII]5007",
    "[NII]5755", "[SIII]6312", "Halpha", "[NII]6584", "[SII]6717,6731", "[OII]7320,7330",
    "[SIII]9069",
)  # fmt: skip


def run(
    *, grid: str = "HII-POPSTAR", model: str = "clouds.safetensors", steps: int = 60_000,
    batch: int = 512, rate: float = 2e-3, evaluate: int = 2000, most: int = 300, seed: int = 1,
) -> dict:  # fmt: skip
    """Train the model.

    Args:
        grid: Source of the Cloudy 17 grids.
        model: File to write.
        steps: Of the optimiser.
        batch: Nebulae per step.
        rate: Peak of the learning rate.
        evaluate: Steps between validations.
        most: Galaxies to learn errors from, at most.
        seed: Of everything.
    """
    errors = errors_of(grid, most, seed)
    table = fs.read_grid(harness.data_folder() / GRIDS.format(FILES[grid]))
    sim = fs.MixtureSimulator({"HII": table}, NAMES).with_errors(errors)
    training = fs.Training(
        steps=steps, batch=batch, learning_rate=rate, optimiser="muon", validation=8192,
        evaluate=evaluate, patience=100,
    )  # fmt: skip
    posterior = fs.fit_lines(sim, training=training, seed=seed, progress=False,
                             checkpoint=Path(model).with_suffix(".ckpt"))  # fmt: skip
    learned = {line: [round(float(a), 4), round(float(b), 4)]
               for line, a, b in zip(*errors, strict=True)}  # fmt: skip
    posterior = replace(posterior, provenance=posterior.provenance | {"line_errors": learned})
    posterior.save(model)
    return {"file": model, **posterior.provenance}


def errors_of(grid: str, most: int, seed: int) -> fs.LineErrors:
    """Those learned of the lines that the galaxies have, the usual ones of the others."""
    learn, _, _ = desi("report", most)
    sim = simulator(grid, "mixture", LINES["DESI"])
    found = line_errors(sim, learn, seed=seed)
    usual = fs.LineErrors.usual(NAMES)
    offset, spread = (np.array(a, float) for a in usual[1:])
    for line, own_offset, own_spread in zip(*found, strict=True):
        place = NAMES.index(line)
        offset[place], spread[place] = own_offset, own_spread
    return fs.LineErrors(NAMES, offset, spread)
