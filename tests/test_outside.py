"""The hook of the documentation: links that leave `docs/`, and what is made of notebooks."""

import importlib.util
import json
from types import SimpleNamespace

import pytest

from tests.documentation import ROOT


@pytest.fixture(scope="module")
def hook():
    pytest.importorskip("mkdocs", reason="the site needs the extra 'docs'")
    spec = importlib.util.spec_from_file_location("outside", ROOT / "docs/outside.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def turned(hook, page: str, text: str) -> str:
    page = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    return hook.on_page_markdown(text, page, None, None)


@pytest.mark.parametrize(
    ("page", "link", "place"),
    [
        ("results/toy.md", "adaptation.md#cost", "adaptation.md#cost"),
        ("results/moons.md", "../models/moons.md", "../models/moons.md"),
        ("physics.md", "../flowspec/sim/tables/README.md", "about/tables.md"),
        ("results/nebulae.md", "../../examples/figures/corner.png", "../figures/corner.png"),
        ("howto/plot.md", "../../examples/quickstart.ipynb", "../notebooks/quickstart.md"),
        ("about/contributing.md", "docs/how-it-works.md#a", "../how-it-works.md#a"),
        ("index.md", "https://num.pyro.ai", "https://num.pyro.ai"),
        ("index.md", "#here", "#here"),
    ],
)
def test_a_link_leads_to_the_place_on_the_site(hook, page, link, place):
    assert turned(hook, page, f"see [it]({link}).") == f"see [it]({place})."


def test_a_notebook_keeps_text_code_and_outputs(hook, tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Title"]},
        {"cell_type": "code", "source": ["1 + 1"],
         "outputs": [{"data": {"text/plain": ["2"]}}, {"data": {"image/png": "aGk=\n"}}]},
    ]  # fmt: skip
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    parts = hook.read_notebook(tmp_path / "a.ipynb").split("\n\n")[1:]
    assert parts == ["# Title", "```python\n1 + 1\n```", "```text\n2\n```",
                     "![output](data:image/png;base64,aGk=)\n"]  # fmt: skip


def test_a_table_keeps_all_its_columns(hook):
    html = "<div><i>Table length=1</i>\n<table>\n\n<tr><td>1</td></tr></table></div>"
    shown = hook.read_output({"data": {"text/plain": ["a ... b"], "text/html": [html]}})
    assert shown == html.replace("\n\n", "\n")
    assert hook.read_output({"data": {"text/plain": ["2"], "text/html": ["2"]}}).startswith("```")


def test_a_page_that_would_fetch_something_is_refused(hook):
    page = SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))
    assert hook.on_post_page('<script src="assets/a.js">', page, None)
    with pytest.raises(hook.PluginError, match="a.md: expected nothing from elsewhere"):
        hook.on_post_page('<script async src="https://elsewhere/a.js">', page, None)
