"""A hook of MkDocs: pages, pictures and notebooks that live outside `docs/` are on the site too.

Pages are written so that their links work where they lie, in the repository. Here a relative link
that leaves `docs/` is turned to the place that its target has on the site.
"""

import base64
import json
import os
import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "CONTRIBUTING.md": "about/contributing.md",
    "CHANGELOG.md": "about/changelog.md",
    "CODE_OF_CONDUCT.md": "about/conduct.md",
    "SECURITY.md": "about/security.md",
    "flowspec/sim/tables/README.md": "about/tables.md",
}
FILES = {"LICENSE": "about/LICENSE.txt", "CITATION.cff": "about/CITATION.cff"}
FETCHED = re.compile(
    r'<(?:script|img|iframe)[^>]* src="?http|<link[^>]* rel="?stylesheet"?[^>]*="?http'
)
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|<)([^)\s#]+)(#[^)\s]*)?(?=\))")


def places() -> dict[str, str]:
    """Path in the repository -> path on the site, of all that is taken from outside."""
    figures = {f"examples/figures/{f.name}": f"figures/{f.name}"
               for f in (ROOT / "examples/figures").glob("*.png")}  # fmt: skip
    books = {f"examples/{f.name}": f"notebooks/{f.stem}.md"
             for f in (ROOT / "examples").glob("*.ipynb")}  # fmt: skip
    return PAGES | FILES | figures | books


def on_files(files, config):
    """Add what lies outside to the files of the site."""
    for source, page in places().items():
        if source.endswith(".ipynb"):
            files.append(File.generated(config, page, content=read_notebook(ROOT / source)))
        else:
            files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn relative links that leave `docs/`, or come from outside, to places on the site."""
    sources = {page: source for source, page in places().items()}
    here = page.file.src_uri
    source = sources.get(here, f"docs/{here}")

    def turned(match):
        path, anchor = match[1], match[2] or ""
        target = os.path.normpath(os.path.join(os.path.dirname(source), path))
        target = places().get(target, target.removeprefix("docs/"))
        return os.path.relpath(target, os.path.dirname(here) or ".") + anchor

    return LINK.sub(turned, markdown)


def on_post_page(output, page, config):
    """Refuse a page that would fetch something when it is read."""
    if found := FETCHED.search(output):
        raise PluginError(f"{page.file.src_uri}: expected nothing from elsewhere; got {found[0]}")
    return output


def read_notebook(path: Path) -> str:
    """A notebook as Markdown: text, code, and what outputs it keeps."""
    parts = [f"<!-- made from {path.name} -->"]
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        parts += [shown for output in cell.get("outputs", ()) if (shown := read_output(output))]
    return "\n\n".join(parts) + "\n"


def read_output(output: dict) -> str:
    """What a cell gave, as Markdown: a picture, a table, or text."""
    data = output.get("data", {})
    if "image/png" in data:
        image = "".join(data["image/png"]).replace("\n", "")
        base64.b64decode(image, validate=True)
        return f"![output](data:image/png;base64,{image})"
    html = "".join(data.get("text/html", ""))
    if html.startswith("<div>"):  # a table: as text it would be cut to the width of a page
        return re.sub(r"\n\s*\n", "\n", html)
    text = "".join(data.get("text/plain", output.get("text", "")))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""
