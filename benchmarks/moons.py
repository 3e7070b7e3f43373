"""The MOONS survey: flowspec against an M-TOPnet-like network and a classical fitter.

All three learn from the same stored spectra of `flowspec simulate moons`, coadded to one coarser
logarithmic grid, and answer for the same others. Success is ``|dz| < 0.01``; the likelihood is
that of the true bin of width 0.003. Rows are in the random order of the file: the last `test` of
them are for the scores, those before for training (and early stopping).
"""

import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import vstack

import flowspec as fs
from benchmarks import ablations, classical, harness, mtopnet, scores
from flowspec.check.redshift import purity_completeness, reliability
from flowspec.io import stream
from flowspec.posterior.redshift import LIMIT, peaks
from flowspec.prior.galaxies import moons_prior
from flowspec.sim.instrument.moons import moons
from flowspec.sim.survey.survey import EXTRA

BIN, LIMITS = 0.003, (0.6, 3.0)
MAGNITUDES = (21.0, 22.0, 23.0, 23.5, 24.0, 24.5, 25.0, 25.5)
LEVELS = (2.5, 16, 50, 84, 97.5)  # percentiles
EDGES = np.arange(0.6, 3.0 + BIN / 2, BIN)


def run(
    *,
    simulations: str = "moons.h5",
    method: str = "flowspec",
    rebin: float = 4.0,
    test: int = 15000,
    rows: int = 0,
    epochs: int = 5,
    batch: int = 64,
    learning_rate: float = 2e-3,
    extra: float = 1.0,
    learned: int = fs.Architecture.learned,
    lines: float = 0.0,
    without: str = "",
    draws: int = 200,
    load: str = "",
    weighted: bool = False,
    save: str = "",
    seed: int = 0,
) -> dict:
    """Train one method and score it.

    Args:
        simulations: File of `flowspec simulate moons`; its coarse copy is kept beside it.
        method: "flowspec", "mtopnet" or "classical".
        rebin: Channels in a coarse pixel.
        test: Rows to score, the last of the file.
        rows: Use only so many rows for training; 0 is all.
        epochs: Passes over the training rows.
        batch: Spectra per step.
        learning_rate: Of flowspec.
        extra: Noise added to flowspec's training spectra, at most so many times their own.
        learned: Learned channels of flowspec's network.
        lines: Weight of the line-location task in flowspec's loss, on the first of them.
        without: "noise" takes the inverse variances from flowspec, for one number per spectrum.
        draws: Posterior draws per spectrum.
        load: Model file of flowspec to score instead of training.
        weighted: Weight a model of the flat prior to the population of the file, in which case
            there is no density of the redshift to score.
        save: Model file to write.
        seed: Of everything but the file.
    """
    theta, obs = coarse(simulations, rebin)
    truth, unseen = theta[-test:], fs.Spectra(*obs.part(slice(-test, None)))
    chosen = slice(0, rows or len(theta) - test)
    theta, obs = theta[chosen], obs.part(chosen)
    began = time.process_time(), time.perf_counter()
    options = {"epochs": epochs, "batch": batch, "seed": seed}
    if without == "noise":
        obs = obs._replace(ivar=ablations.blind(obs.flux, obs.ivar))
        unseen = fs.Spectra(obs.wave, unseen.flux, ablations.blind(unseen.flux, unseen.ivar))
    if method == "flowspec":
        options |= {"learning_rate": learning_rate, "extra": extra}
        options |= {"learned": learned, "lines": lines}
        posterior = fs.load(load) if load else trained(theta, obs, **options)
        if save:
            posterior.save(save)
        population = fs.Population(posterior.model.space.priors[0]) if weighted else None
        ask = partial(ask_flowspec, posterior, draws=draws, seed=seed, population=population)
    elif method == "mtopnet":
        # the published rate of 5e-3 is for batches of 1,024
        options["rates"] = (5e-3 * batch / 1024, 1e-4)
        options["report"] = lambda text: print(text, flush=True)
        state = mtopnet.train(
            theta[:, :3], obs.flux, obs.ivar, obs.wave, limits=LIMITS, **options
        )
        ask = partial(ask_mtopnet, state)
    elif method == "classical":
        ask = learned_classical(theta, obs)
    else:
        raise ValueError(f"expected one of the methods; got {method!r}")
    learning = time.process_time() - began[0], time.perf_counter() - began[1]
    answer, wall, cpu = harness.clocked(ask, unseen)
    return {
        "method": method,
        "training spectra": len(theta),
        "training_cpu_s": learning[0],
        "training_wall_s": learning[1],
        "ms_per_spectrum": 1e3 * wall / test,
        "cpu_ms_per_spectrum": 1e3 * cpu / test,
        **score(answer, truth),
    }


class Stored(NamedTuple):
    """Spectra on disk [rows, pixels], mapped: several processes share them, 3 GB together."""

    wave: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray

    def part(self, rows) -> "Stored":
        """Some rows."""
        return Stored(self.wave, self.flux[rows], self.ivar[rows])


def coarse(path: str, rebin: float) -> tuple[np.ndarray, Stored]:
    """Parameters and extras [rows, 13], and the spectra on a grid `rebin` times coarser."""
    kept = Path(path).with_suffix(f".{rebin:g}.npz.d")
    wave = moons(rebin).wave
    if not kept.exists():
        parts = [(t, s.resample(wave, weighted=True)) for s, t in stream(path, theta=True)]
        kept.mkdir()
        np.save(kept / "theta.npy", np.concatenate([t for t, _ in parts]))
        for name in ("flux", "ivar"):
            np.save(kept / f"{name}.npy", np.concatenate([getattr(s, name) for _, s in parts]))
    theta, flux, ivar = (np.load(kept / f"{n}.npy", "r") for n in ("theta", "flux", "ivar"))
    return np.array(theta), Stored(wave, flux, ivar)


def trained(
    theta, obs, seed, *, epochs, batch, learning_rate, extra, learned, lines
) -> fs.Posterior:
    """flowspec's posterior, trained on stored spectra."""
    prior = moons_prior()
    # single precision may put a draw at the very edge on its other side
    inside = theta[:, : len(prior.names)].astype(np.float32)
    simulations = fs.Simulations(inside, obs.flux, obs.ivar, obs.wave, prior, extra_noise=extra,
                                 redshift="z")  # fmt: skip
    held_out = 2048
    steps = epochs * ((len(simulations) - held_out) // batch)
    # a fixed set is soon learned by heart: templates stay the principal components, weights small
    training = fs.Training(
        steps=steps, batch=batch, learning_rate=learning_rate, rest_rate=0.0, weight_decay=0.3,
        validation=held_out, evaluate=500,
    )  # fmt: skip
    options = {"architecture": fs.Architecture(learned=learned)}
    if lines:
        options["loss"] = ablations.line_loss(obs.wave, LIMITS[1], lines)
    return fs.fit(simulations, seed=seed, training=training, **options)


def learned_classical(theta, obs):
    """The classical fitter: templates of the 4,000 best spectra, calibrated on 2,000 others."""
    snr = (obs.flux * np.sqrt(obs.ivar)).mean(1)
    best, others = np.argsort(-snr)[:4000], np.arange(min(2000, len(snr)))
    flux, ivar = obs.flux, obs.ivar
    templates = classical.learn(theta[best, 0], flux[best], ivar[best], obs.wave, limits=LIMITS)
    density, edges = np.histogram(theta[:, 0], 48, LIMITS, density=True)
    prior = partial(np.interp, xp=0.5 * (edges[1:] + edges[:-1]), fp=density)
    chi2 = classical.fit(templates, flux[others], ivar[others])[2]
    options = classical.calibrate(templates.z, chi2, theta[others, 0], prior)

    def ask(spectra: fs.Spectra) -> dict:
        z, confidence, chi2 = classical.fit(templates, spectra.flux, spectra.ivar)
        pdf = rebinned(*classical.pdf(templates.z, chi2, prior, **options))
        return {"z": z, "confidence": confidence, "pdf": pdf}

    return ask


def ask_mtopnet(state: mtopnet.State, obs: fs.Spectra) -> dict:
    """Its answers, the redshift chosen from its density as that of flowspec is."""
    found = mtopnet.predict(state, obs.flux, obs.ivar)
    best = peaks(found.edges, found.pdf)
    labels = {n: np.stack([getattr(found, n)] * len(LEVELS)) for n in ("log_mstar", "log_sfr")}
    pdf = rebinned(found.edges, found.pdf)
    return {"z": best.z, "confidence": best.share, "pdf": pdf, **labels}


def ask_flowspec(posterior: fs.Posterior, obs: fs.Spectra, draws, seed, population) -> dict:
    """What `score` needs of every spectrum."""
    options = {"n": draws, "seed": seed, "with_samples": True, "population": population}
    tables, parts = [], []
    for first in range(0, len(obs), 2048):  # a population takes many draws
        table, samples = posterior.summarize(obs[first : first + 2048], **options, first=first)
        tables.append(table["z_best", "z_prob"])
        parts.append(samples)
    table, samples = vstack(tables), np.concatenate(parts, axis=1)
    z, confidence = (np.asarray(table[name]) for name in ("z_best", "z_prob"))
    pdf = None if population else rebinned(*posterior.redshift_pdf(obs))
    percentiles = {
        name: np.percentile(samples[..., posterior.names.index(name)], LEVELS, axis=0)
        for name in ("log_mstar", "log_sfr")
    }
    return {"z": z, "confidence": confidence, "pdf": pdf, **percentiles}


def rebinned(edges: np.ndarray, pdf: np.ndarray) -> np.ndarray:
    """Densities in the bins of `EDGES` [rows, bins]."""
    cumulative = np.cumsum(np.pad(pdf * np.diff(edges), ((0, 0), (1, 0))), axis=1)
    at = np.stack([np.interp(EDGES, edges, row) for row in cumulative])
    return np.diff(at) / np.diff(EDGES)


def score(answer: dict, truth: np.ndarray) -> dict:
    """All scores, over all and by magnitude, exposure time and type."""
    names = (*moons_prior().names, *EXTRA)
    known = {name: truth[:, i] for i, name in enumerate(names)}
    right = np.abs(answer["z"] - known["z"]) < LIMIT
    own = np.clip(np.digitize(known["z"], EDGES) - 1, 0, len(EDGES) - 2)
    nll = np.full(len(own), np.nan)
    if answer["pdf"] is not None:
        nll = -np.log(answer["pdf"][np.arange(len(own)), own] * BIN + 1e-12)
    groups = {"all": np.ones(len(right), bool)}
    for low, high in zip(MAGNITUDES[:-1], MAGNITUDES[1:], strict=True):
        groups[f"H {low:g}-{high:g}"] = (known["m_h"] >= low) & (known["m_h"] < high)
    groups |= {f"{t:g} h": known["t_exp"] == t for t in np.unique(known["t_exp"])}
    groups |= {"star-forming": known["quiescent"] == 0, "quiescent": known["quiescent"] == 1}
    results = {}
    for group, chosen in groups.items():
        row = {"n": int(chosen.sum()), "success": scores.share(right[chosen])}
        row["nll of the true bin"] = float(nll[chosen].mean())
        confidence = answer["confidence"][chosen]
        row |= scores.purity(confidence, right[chosen])
        curve = purity_completeness(confidence, right[chosen])
        for wanted in (0.97, 0.99):
            title = f"removed for {wanted:g} over the least possible"
            row[title] = curve.removal_ratio(wanted)
            if answer["confidence"].max() <= 1:  # a probability, not a difference of chi-squared
                exact = purity_completeness(confidence, confidence)
                row[f"{title}, if confidences are exact"] = exact.removal_ratio(wanted)
                error = reliability(confidence, right[chosen]).error
                row["calibration error of the confidence"] = error
        for name in ("log_mstar", "log_sfr"):
            if name in answer:
                low, *middle, high = answer[name][:, chosen]
                label = known[name][chosen]
                against = scores.against_labels(*middle, label)
                row |= {f"{name} {k}": against[k] for k in ("nmad", "offset", "inside_68")}
                row[f"{name} inside_95"] = scores.share((label >= low) & (label <= high))
        results[group] = row
    return results
