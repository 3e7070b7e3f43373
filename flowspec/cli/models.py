"""`flowspec models`: what the shipped models, or given ones, are and how they were made."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from flowspec.data.spectrographs import SPECTROGRAPHS
from flowspec.posterior.choice import choices, closest, fit_of
from flowspec.posterior.load import load, shipped
from flowspec.posterior.posterior import Posterior


def run(args: Namespace) -> None:
    """Print a paragraph per model, and of the shipped ones which is for which spectrograph.

    Raises:
        ValueError: If one is not a model file.
        OSError: If one is not there.
    """
    known, posteriors = shipped(), {}
    if not (args.models or known):
        print("no models are shipped with this version; 'flowspec fit' makes one")
    for name in args.models or known:
        posterior = load(name)
        file = Path(name) if Path(name).is_file() else known[name]
        print(f"{name} ({file.stat().st_size / 1e6:.1f} MB)")
        for title, text in described(posterior).items():
            print(f"  {title:<12}{text}")
        posteriors[name] = posterior
    if not args.models:
        print("\nwhich model for which spectrograph (share of its range that the model takes)")
        for spectrograph, *cells in which(posteriors):
            print(f"  {spectrograph:<17}" + "".join(f"{cell:<22}" for cell in cells).rstrip())


def which(posteriors: Mapping[str, Posterior]) -> list[tuple[str, str, str]]:
    """Spectrograph, its wavelengths, and the models that its spectra are for, the best first, as
    `--model auto` has them: from grids and published numbers, whatever the redshifts.

    Args:
        posteriors: Models by name.
    """
    frames = {name: posterior.model.frame for name, posterior in posteriors.items()}
    rows = []
    for one in SPECTROGRAPHS:
        obs = one.blank()
        texts = []
        for name in choices(frames, obs)[0]:
            share = fit_of(frames[name], obs).used[0]
            redshift = posteriors[name].model.space.redshift
            texts.append(f"{name} ({100 * share:.0f} %"
                         + (f", z {redshift.low:.2g}-{redshift.high:.2g})" if redshift else ")"))
        found = ", ".join(texts) or f"none: {closest(frames, obs)[0].partition('which ')[2]}"
        rows.append((one.name, f"{one.low:g}-{one.high:g} A", found))
    return rows


def described(posterior: Posterior) -> dict[str, str]:
    """Title to text: grid or lines, parameters with priors, simulator, training."""
    made = posterior.provenance
    training = made.get("training", {})
    frame, prior = posterior.model.frame, posterior.model.space.priors[0]
    if frame.kind == "pixels":
        wave = frame.wave
        lines = {"wavelengths": f"{wave[0]:.0f}-{wave[-1]:.0f} A (vacuum), {len(wave)} pixels"}
    else:
        lines = {frame.kind: " ".join(frame.key)}
    if len(posterior.sources) > 1:
        lines["sources"] = " ".join(posterior.sources)
    for name, config in prior.config()["distributions"].items():
        numbers = [f"{value:g}" for key, value in config.items() if key != "distribution"]
        beyond = f", of {name} - {prior.relative[name]}" if name in prior.relative else ""
        lines[name] = f"{config['distribution']}({', '.join(numbers)}){beyond}"
    if share := prior.config().get("population_share"):
        lines["population"] = f"{share:g} of the prior, the rest as above"
    if posterior.stretch is not None:
        lines["labels"] = posterior.stretch.told(posterior.names)
    history = made.get("history") or [[float("nan")] * 3]
    return lines | {
        "simulator": str(made.get("simulator", "unknown")),
        "training": f"{history[-1][0]:.0f} steps of {training.get('batch', '?')} spectra, seed "
        f"{made.get('seed', '?')}, {made.get('cpu_seconds', '?')} CPU s, best validation loss "
        f"{min(row[-1] for row in history):.3f}",
        "made with": f"flowspec {made.get('flowspec', '?')}, jax {made.get('jax', '?')}",
    } | adapted(made) | ({"command": made["command"]} if "command" in made else {})


def adapted(made: dict) -> dict[str, str]:
    """Title to text: what was learned from observations, and how a model was adapted to them."""
    record = made.get("adaptation") or {}
    lines = {"adaptation": f"{record['method']} ({record['reason']})"} if "reason" in record else {}
    rounds = (record.get("nuisances") or {}).get("rounds") or []
    if rounds:
        last, gain = rounds[-1], max(rounds[-1]["gain_by_strength"].values())
        lines["nuisances"] = (
            f"learned from {last['fits']} of {last['of']} spectra, median chi2 "
            f"{last['chi2'][1]:g}; "
            f"noise {last['noise']:g} of the stated; {gain:.1f} nats per held-out spectrum"
        )
    return lines
