"""`view`: observations and their posteriors as one HTML file without network and server."""

import hashlib
import html
import json
import re
from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np

from flowspec.data.atomic import replacing
from flowspec.data.observation import Observation
from flowspec.pages.lines import lines_contents
from flowspec.pages.spectra import spectra_contents
from flowspec.posterior.summary import summarized
from flowspec.prior.parameters import PARAMETERS

MOST = 2000  # rows of a page
SHOWN = ("z", "log_mstar", "log_sfr", "av", "oh", "log_u", "no")  # in corner plots, at first
_LABELS = {
    "log_mstar": "log M★", "log_sfr": "log SFR", "log_age": "log t★", "log_zstar": "log Z★",
    "av": "A_V", "log_u": "log U", "oh": "12+log O/H", "dispersion": "σ★", "no": "log N/O",
    "log_pk": "log P/k", "mag": "mag", "slope": "α", "log_fwhm": "log FWHM", "ebv": "E(B−V)",
    "log_teff": "log T", "logg": "log g", "feh": "[M/H]",
}  # fmt: skip
_WEIGHTED = ["Draws and the table are weighted to the galaxies of a survey (--population); "
             "densities of the redshift are not."]
_CONTENTS = {"pixels": spectra_contents, "lines": lines_contents}
_STYLES = ("base.css", "panels.css")
_SCRIPTS = {
    "spectra": ("curves.js", "spectrum.js", "redshift.js", "spectra.js"),
    "lines": ("ratios.js", "lines.js"),
}
_COMMON = ("unpack.js", "theme.js", "verdicts.js", "table.js", "corner.js", "row.js")


def view(
    obs: Observation, posterior, folder: str | Path, *, sim=None, fits: int = 20, n: int = 500,
    seed: int = 0, by_name: bool = False, dereddened: bool = False, population=None, total=None,
    title: str = "", model: str = "", progress: bool = False,
) -> Path:  # fmt: skip
    """Write a page to look at observations with: data, models, posteriors, flags, verdicts.

    Needs Plotly (``pip install plotly``), which is copied into the page.

    Args:
        obs: Spectra or lines, at most `MOST` rows.
        posterior: `flowspec.Posterior` of them.
        folder: Where ``index.html`` is written; made if need be.
        sim: The simulator that the posterior was trained on: of spectra, to be fitted to some; of
            lines, to show what its grid covers. None: neither.
        fits: Number of spectra that it is fitted to, in half a second or so each.
        n: Posterior draws per row behind the table.
        seed, by_name, dereddened, population, total: As of `flowspec.Posterior.summarize`; a
            population weights draws, not densities of the redshift.
        title, model: Heading of the page; name of the posterior, for it to tell.
        progress: Whether to show progress bars.

    Returns:
        The path of the page.

    Raises:
        ValueError: On more rows than a page holds, or a model of neither spectra nor lines.
        ImportError: Without Plotly.
        OSError: If it cannot be written.
    """
    library = plotly_source()
    frame = posterior.model.frame
    if frame.kind not in _CONTENTS:
        raise ValueError(f"expected a model of spectra or lines; got one of {frame.kind}")
    if len(obs) > MOST:
        raise ValueError(f"expected at most {MOST} rows for one page; got {len(obs)}")
    if frame.kind == "pixels":
        obs = frame.gridded(obs)
    table, answers = summarized(posterior, obs, n=n, seed=seed, by_name=by_name,
                                dereddened=dereddened, population=population, total=total,
                                progress=progress)
    seen = frame.seen(obs, dereddened)
    make = _CONTENTS[frame.kind]
    contents, rows = make(posterior, seen, table, answers, sim=sim, count=fits,
                          progress=progress)
    contents["notes"] += _WEIGHTED if population is not None else []
    title = title or f"{len(obs)} {'spectra' if contents['kind'] == 'spectra' else 'objects'}"
    contents |= {
        "title": title,
        "id": identity(obs.names, frame.arrays(seen)),
        "made": f"flowspec {version('flowspec')}"
                + (f", model {model}" if model else "") + f", {n} draws, seed {seed}",
        "parameters": [parameter(name) for name in posterior.names],
    }  # fmt: skip
    path = Path(folder) / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(page(title, contents, rows, library), encoding="utf-8")
    return path


def plotly_source() -> str:
    """Plotly.js of the installed package (MIT licence, which it begins with).

    Raises:
        ImportError: In one line, where it is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ImportError("expected plotly for pages; got none: pip install plotly") from None
    return get_plotlyjs()


def identity(names: Iterable[str], arrays: Iterable[np.ndarray]) -> str:
    """What tells these observations from others: verdicts in a browser are kept by it."""
    digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape"))
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def parameter(name: str) -> dict:
    """What a page says of a parameter, and whether its corner plots show it at first."""
    about = PARAMETERS.get(name)
    return {"name": name, "label": _LABELS.get(name, name), "first": name in SHOWN,
            "about": about.about if about else name, "unit": about.unit if about else ""}


def page(title: str, contents: dict, rows: list[dict], library: str) -> str:
    """The HTML: whatever comes from files is JSON without "<", or escaped text."""
    scripts = (*_COMMON, *_SCRIPTS[contents["kind"]], "keys.js", "app.js")
    kept = [f'<script type="application/json" id="row-{i}">{as_json(row)}</script>'
            for i, row in enumerate(rows)]
    parts = {
        "title": html.escape(title),
        "style": "\n".join(map(_template, _STYLES)),
        "panels": _template(f"{contents['kind']}.html").replace("{{judged}}",
                                                                _template("judged.html")),
        "library": library.replace("</script", r"<\/script"),
        "contents": as_json(contents),
        "first": kept[0],
        "rows": "\n".join(kept[1:]),
        "script": "\n".join(map(_template, scripts)),
    }  # fmt: skip
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _template("page.html"))


def as_json(value) -> str:
    """JSON that no HTML can hide in, and that has neither NaN nor infinity."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _template(name: str) -> str:
    return (files("flowspec.pages") / "template" / name).read_text(encoding="utf-8")
