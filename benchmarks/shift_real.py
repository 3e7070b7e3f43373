"""Simulations to real spectra: a shipped model as it is, and adapted to them without labels.

For every seed the shipped model of the survey is adapted (`fit(start=..., adapt=...)`) to all
spectra of the survey, and both are scored as in `real_sdss` and `real_vandels`.
"""

import tempfile
from pathlib import Path

import numpy as np

import flowspec as fs
from benchmarks import real_sdss, real_vandels
from benchmarks.harness import flat
from flowspec.adaptation.align import Adaptation

SURVEYS = {
    "sdss": (real_sdss, lambda: real_sdss.good_galaxies()[0], "all"),
    "vandels": (real_vandels, lambda: real_vandels.survey()[0], "flags 3-4 all"),
}


def run(
    *, survey: str = "vandels", method: str = "auto", seeds: int = 5, injected: int = 400,
    aligned: int = 150, batch: int = 64, rate: float = 3e-4, draws: int = 300,
) -> dict:  # fmt: skip
    """Figures before and after, and what was measured and chosen.

    Args:
        survey: "sdss" or "vandels".
        method: Of adaptation.
        seeds: Runs.
        injected: Steps with injection.
        aligned: Steps of each alignment.
        batch: Simulations per step.
        rate: Peak of the learning rate.
        draws: Posterior draws per spectrum of the scores.
    """
    module, read, group = SURVEYS[survey]
    obs = read()
    adaptation = Adaptation(
        steps=aligned, injected=injected, learning_rate=rate, stages=1, weights=(0.3,)
    )
    before = flat(module.run(model=survey, draws=draws)[group])
    after, records = [], []
    for seed in range(seeds):
        post = fs.fit(
            fs.GalaxySimulator(survey), obs, seed=seed, start=fs.load(survey), adapt=method,
            training=fs.Training(steps=0, batch=batch), adaptation=adaptation, progress=False,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "adapted.safetensors"
            post.save(path)
            after.append(flat(module.run(model=str(path), draws=draws)[group]))
        records.append(post.provenance["adaptation"])
        print(seed, records[-1], after[-1], flush=True)
    numbers = {k: np.array([row[k] for row in after], float) for k in before}
    return {
        "before": before,
        "after": {k: float(v.mean()) for k, v in numbers.items()},
        "spread": {k: float(v.std(ddof=seeds > 1)) for k, v in numbers.items()},
        "chosen": [f"{r['method']} {r.get('injected')} {r['reason']}" for r in records],
        "records": records,
    }
