"""Simulations to real spectra: a shipped model as it is, and adapted to them without labels.

For every seed the shipped model of the survey is adapted (`flowspec.adapt`) to all
spectra of the survey, and both are scored as in `real_sdss` and `real_vandels`.
"""

import tempfile
from pathlib import Path

import flowspec as fs
from benchmarks import real_sdss, real_vandels
from benchmarks.harness import flat
from benchmarks.shift_scores import summary

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
    adaptation = fs.Adaptation(
        steps=aligned, injected=injected, learning_rate=rate, stages=1, weights=(0.3,)
    )
    before = flat(module.run(model=survey, draws=draws)[group])
    after, records = [], []
    for seed in range(seeds):
        post = fs.adapt(
            fs.load(survey), fs.GalaxySimulator(survey), obs, method, seed=seed,
            training=fs.Training(batch=batch), adaptation=adaptation, progress=False,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "adapted.safetensors"
            post.save(path)
            after.append(flat(module.run(model=str(path), draws=draws)[group]))
        records.append(post.provenance["adaptation"])
        print(seed, records[-1], after[-1], flush=True)
    return {
        "before": before,
        "after": summary(after),
        "chosen": [f"{r['method']} {r.get('injected')} {r['reason']}" for r in records],
        "records": records,
    }
