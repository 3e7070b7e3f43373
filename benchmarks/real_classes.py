"""What real spectra are: galaxies, quasars, stars and fibres on empty sky, of five instruments.

BOSS and SDSS spectra with the class and redshift of their pipeline, a DESI coadd with Redrock's,
MUSE spectra with the redshifts of their survey, and fibres of the SDSS on nothing. All good SDSS
galaxies of the half that is only reported, the others whole: none of them taught anything.
"""

from dataclasses import replace

import numpy as np
from astropy.table import Table

import flowspec as fs
from benchmarks import harness, scores
from benchmarks.real_sdss import good_galaxies
from benchmarks.sky import fibre

NEAR, FAR = 0.003, 0.01  # of (1 + z): right of a galaxy or star, of a quasar
MUSE_LARGEST = 1.5  # redshift of galaxies that the prior holds, with lines in view
REDROCK = "spectra/desi/redrock-4-80613-thru20210324.fits"


def run(*, model: str = "optical", than: str = "sdss", draws: int = 500, seed: int = 0) -> dict:
    """Judge a model of kinds of objects.

    Args:
        model: Name of a shipped model or a model file.
        than: Model of galaxies that is given the same SDSS galaxies; empty for none.
        draws: Posterior draws per spectrum.
        seed: Of the draws.
    """
    posterior = fs.load(model)

    def summary(obs: fs.Spectra) -> Table:
        return posterior.summarize(obs, n=draws, seed=seed)

    obs, z = good_galaxies()
    rows = np.flatnonzero(scores.report_half(obs.names))
    obs, z = obs[rows], z[rows]
    found, wall, cpu = harness.clocked(lambda: summary(obs))
    results = {"sdss galaxies": galaxies(found, z) | {"cpu_s per spectrum": cpu / len(obs)}}
    silent = summary(replace(obs, lsf=None))
    results["dispersions, line-spread function known"] = dispersions(found)
    results["dispersions, not known"] = dispersions(silent)
    if than:
        other = fs.load(than)
        found, wall, cpu = harness.clocked(lambda: other.summarize(obs, n=draws, seed=seed))
        del wall
        results[f"sdss galaxies by {than}"] = {
            "right": right(found, z, NEAR).mean(), "cpu_s per spectrum": cpu / len(obs)
        }
    boss = fs.read(sorted(map(str, (harness.data_folder() / "spectra/boss").glob("*.fits"))))
    found = summary(boss)
    results["boss"] = one_by_one(found, found["z_archive"], found["class_archive"])
    results["desi"] = desi(summary)
    results["muse"] = muse(summary)
    results["sky fibres"] = sky(summary)
    return results


def right(found: Table, z: np.ndarray, limit: float) -> np.ndarray:
    """Whether each redshift is right; one that is masked is not."""
    best = np.ma.filled(np.ma.asarray(found["z_best"], float), np.inf)
    return np.abs(best - z) < limit * (1 + z)


def certainty(found: Table) -> np.ndarray:
    """``z_prob`` of each row, 0 where it is masked."""
    return np.ma.filled(np.ma.asarray(found["z_prob"], float), 0.0)


def galaxies(found: Table, z: np.ndarray) -> dict:
    """Shares of right classes and redshifts, of all and of those that are sure."""
    good = right(found, z, NEAR)
    sure = certainty(found) >= 0.9
    return {
        "n": len(z), "class right": scores.share(found["class"] == "GALAXY"),
        "right": scores.share(good), "sure": scores.share(sure),
        "right of the sure": scores.share(good[sure]),
    }  # fmt: skip


def dispersions(found: Table) -> dict:
    """Velocity dispersions beside those of the pipeline, km/s, where these hold (`sky.fibre`)."""
    known = fibre(found["name"])["vdisp"]
    ends = [np.ma.filled(np.ma.asarray(found[f"dispersion_p{p}"], float), np.nan)
            for p in (16, 50, 84)]  # fmt: skip
    known = np.where(np.isfinite(ends[1]), known, np.nan)
    stated = (ends[2] - ends[0])[np.isfinite(known)] / 2
    return scores.against_labels(*ends, known) | {"stated sigma": scores.middle(stated)}


def one_by_one(found: Table, z, kinds) -> dict:
    """Every object with what was found, and how many are right."""
    limits = np.where(np.asarray(kinds) == "QSO", FAR, NEAR)
    good = right(found, np.asarray(z, float), limits)
    same = np.asarray(found["class"]) == np.asarray(kinds)
    rows = {
        row["name"]: f"{kind} {label:.4f}: {row['class']} {row['z_best']:.4f}, "
                     f"P {row['z_prob']:.3f}, S/N {row['snr']:.1f}"
        for row, label, kind in zip(found, z, kinds, strict=True)
    }  # fmt: skip
    counts = {"class right": int(same.sum()), "right": int((good & same).sum())}
    return {"n": len(rows)} | counts | rows


def desi(summary) -> dict:
    """The coadd that Redrock's answer is known of, where it has no warning."""
    folder = harness.data_folder()
    obs = fs.read(str(folder / "spectra/desi/coadd-4-80613-thru20210324.fits"))
    answer = Table.read(folder / REDROCK, hdu=1)
    answer = answer[answer["ZWARN"] == 0]
    kinds = [str(kind).strip() for kind in answer["SPECTYPE"]]
    return one_by_one(summary(obs), answer["Z"], kinds)


def muse(summary) -> dict:
    """Spectra of the Hubble Ultra Deep Field below the prior's highest redshift."""
    folder = harness.data_folder() / "spectra/muse_udf10"
    labels = Table.read(folder / "incat_platefit_test.fits")
    wanted = labels[labels["Z"] < MUSE_LARGEST]
    files = {int(i): folder / f"udf10_{int(i):05d}.fits" for i in wanted["ID"]}
    here = np.array([files[int(i)].exists() for i in wanted["ID"]])
    obs = fs.read([str(files[int(i)]) for i in wanted["ID"][here]])
    return one_by_one(summary(obs), wanted["Z"][here], ["GALAXY"] * int(here.sum()))


def sky(summary) -> dict:
    """Fibres on nothing, and what is taken for something."""
    folder = harness.data_folder() / "sky/sdss_sky_fibres"
    found = summary(fs.read(sorted(map(str, folder.glob("*.h5")))))
    wrong = found[found["class"] != "NOTHING"]
    some = {row["name"]: f"{row['class']}, P {1 - row['p_nothing']:.3f}" for row in wrong}
    sure = np.asarray(wrong["p_nothing"]) < 0.1
    return {"n": len(found), "not nothing": len(wrong), "surely not": int(sure.sum())} | some
