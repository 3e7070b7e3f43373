"""Are two objects in one fibre told from one? What is found, and false alarms.

Simulated: single objects of every kind as `flowspec.sim.objects` draws them, of any signal-to-noise
ratio; the same with the artefacts of `benchmarks.artefacts`; and sums of two of them, 1:1 to 1:3 in
median flux, of a signal-to-noise ratio of 5 to 10. Real: SDSS galaxies of the half that is only
reported, one by one and in sums of two, of which the other is moved to the red
(`benchmarks.adversarial`); BOSS spectra, among them quasars with broad absorption; sky fibres. A
blend is found where it is flagged, and both redshifts are right to 0.01 (1 + z).
"""

from collections.abc import Callable
from functools import partial

import jax.random as jr
import numpy as np
from astropy.table import Table

import flowspec as fs
from benchmarks import adversarial, artefacts, harness, scores
from benchmarks.adversarial import Sample
from benchmarks.real_classes import FAR
from benchmarks.real_sdss import good_galaxies
from flowspec.sim.objects import objects
from flowspec.sim.simulator import simulate_many

PARTS = 3.0, 20.0  # signal-to-noise ratios of what is added
SUM = 5.0, 10.0  # of the sums
RATIOS = 1 / 3, 1.0
WIDE = 1 / 3  # share of the wavelengths that both have, at least
FORMING = -10.3  # log10 of the star formation per mass per year, above which galaxies have lines


def run(
    *, model: str = "optical", singles: int = 3072, each: int = 200, draws: int = 50, seed: int = 0
) -> dict:
    """Judge a model of kinds of objects.

    Args:
        model: Name of a shipped model or a model file.
        singles: Simulated single objects.
        each: Sums of two of each sort, and objects with each artefact.
        draws: Posterior draws per spectrum.
        seed: Of all that is random.
    """
    posterior = fs.load(model)
    summarize = partial(posterior.summarize, n=draws, seed=seed)
    simulated = drawn(singles, seed)
    sample = simulated[0]
    found = summarize(sample.obs)
    alarm = flagged(found)
    results = {"simulated, alone": {
        kind: alarms(alarm[sample.kinds == kind]) for kind in np.unique(sample.kinds)
    } | {"all": alarms(alarm)}}  # fmt: skip
    some = Sample(*(field[:each] for field in sample))
    results["simulated, with artefacts"] = {
        name: alarms(flagged(summarize(spoilt.obs)))
        for name, spoilt in adversarial.spoilt(some, artefacts.DESI, seed).items()
    }
    results["simulated, two"] = {
        name: score(summarize(both.obs), both) for name, both in sums(*simulated, each, seed)
    }
    return results | {"real": real(summarize, seed)}


def drawn(count: int, seed: int) -> tuple[Sample, np.ndarray]:
    """Objects of all kinds, and which are galaxies that form stars."""
    sim = objects(adversarial.INSTRUMENT)
    theta, source, data = simulate_many(sim, jr.key(seed), count)
    value = dict(zip(sim.priors[0].names, np.asarray(theta, float).T, strict=True))
    kinds = np.array(sim.sources)[source]
    forming = (kinds == "GALAXY") & (value["log_sfr"] - value["log_mstar"] > FORMING)
    return Sample(sim.frame.observed(*data), value["z"][:, None], kinds), forming


def sums(sample: Sample, forming: np.ndarray, each: int, seed: int):
    """Sums of two simulated objects, by what they are of."""
    good = (sample.obs.snr > PARTS[0]) & (sample.obs.snr < PARTS[1])
    galaxy, star = good & (sample.kinds == "GALAXY"), good & (sample.kinds == "STAR")
    sorts = {
        "galaxies that form stars": (galaxy & forming, galaxy & forming),
        "any galaxies": (galaxy, galaxy),
        "galaxy and a fainter star": (galaxy, star),
        "star and a fainter galaxy": (star, galaxy),
    }
    for k, (name, pair) in enumerate(sorts.items()):
        rows = [np.flatnonzero(mask) for mask in pair]
        yield name, summed(sample, rows, each, np.random.default_rng([seed, k]))


def summed(sample: Sample, rows: list[np.ndarray], each: int, rng: np.random.Generator) -> Sample:
    """As many sums as are wanted of the wanted signal-to-noise ratio, or as there are.

    Args:
        sample: What is added.
        rows: Of what is brighter, and of what is fainter.
        each: How many.
        rng: Of the random numbers.
    """
    pairs = np.stack([rng.choice(own, 6 * each) for own in rows])
    z = sample.z[pairs, 0]
    far = np.abs(z[0] - z[1]) > artefacts.APART * (1 + z.max(0))
    bright, faint = pairs[:, far]
    obs = added(sample.obs[bright], sample.obs[faint], rng)
    wide = (obs.ivar > 0).mean(1) > WIDE
    keep = np.flatnonzero(wide & (obs.snr > SUM[0]) & (obs.snr < SUM[1]))[:each]
    z = np.hstack([sample.z[bright], sample.z[faint]])
    return Sample(obs[keep], z[keep], sample.kinds[bright][keep])


def added(one: fs.Spectra, other: fs.Spectra, rng: np.random.Generator) -> fs.Spectra:
    """Sums of spectra, the other scaled."""
    light = partial(artefacts.blend, other=(other.flux, other.ivar), ratios=RATIOS)
    return adversarial.injected(light, rng, one)


def real(summarize: Callable, seed: int) -> dict:
    """Real spectra, alone and in sums of two."""
    obs, z = good_galaxies()
    rows = np.flatnonzero(scores.report_half(obs.names))
    sample = Sample(obs[rows], z[rows, None], np.full(len(rows), "GALAXY"))
    found = summarize(sample.obs)
    results = {"SDSS galaxies": alarms(flagged(found)) | listed(found)}
    rng, other = np.random.default_rng([seed, 99]), adversarial.further(sample)
    partner = artefacts.partners(rng, sample.z[:, 0], other.z[:, 0])
    both = Sample(added(sample.obs, other.obs[partner], rng),
                  np.hstack([sample.z, other.z[partner]]), sample.kinds)  # fmt: skip
    results["two SDSS galaxies"] = score(summarize(both.obs), both)
    for name, folder, pattern in (("BOSS", "spectra/boss", "*.fits"),
                                  ("sky fibres", "sky/sdss_sky_fibres", "*.h5")):  # fmt: skip
        paths = sorted(map(str, (harness.data_folder() / folder).glob(pattern)))
        found = summarize(fs.read(paths))
        results[name] = alarms(flagged(found)) | listed(found)
    return results


def flagged(found: Table) -> np.ndarray:
    """Rows in which there are two objects, it is said."""
    return (np.asarray(found["flags"]) & int(fs.Flag.BLEND)) > 0


def alarms(flag: np.ndarray) -> dict:
    """How many of some single objects are flagged."""
    return {"n": len(flag), "flagged": int(flag.sum()),
            "at most (95 %)": adversarial.at_most(int(flag.sum()), len(flag))}  # fmt: skip


def listed(found: Table) -> dict:
    """Each row that is flagged, with its redshifts."""
    return {row["name"]: f"{row['z_best']:.4f} and {row['z_blend']:.4f}, "
                         f"ln evidence {row['blend_ln_evidence']:.0f}"
            for row in found[flagged(found)]}  # fmt: skip


def score(found: Table, sample: Sample) -> dict:
    """Shares of blends that are flagged and found, and of flagged ones that are right."""
    z = np.stack([np.ma.filled(np.ma.asarray(found[n], float), np.inf)
                  for n in ("z_best", "z_blend")], axis=1)  # fmt: skip
    right = [(np.abs(z[:, order] - sample.z) < FAR * (1 + sample.z)).all(1)
             for order in ([0, 1], [1, 0])]  # fmt: skip
    flag, right = flagged(found), right[0] | right[1]
    return {"n": len(flag), "flagged": scores.share(flag), "found": scores.share(flag & right),
            "right of the flagged": scores.share(right[flag])}  # fmt: skip
