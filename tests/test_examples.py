"""The example notebooks run from top to bottom, on small settings."""

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

import flowspec

FOLDER = Path(__file__).resolve().parents[1] / "examples"


def execute(name: str, folder: Path, monkeypatch) -> nbformat.NotebookNode:
    """Run a notebook in `folder`; an error in a cell is an error here."""
    monkeypatch.setenv("FLOWSPEC_EXAMPLES_SMALL", "1")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = nbformat.read(FOLDER / name, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    return client.execute()


def figures(notebook: nbformat.NotebookNode) -> int:
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    return sum("image/png" in o.get("data", {}) for o in outputs)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda p: p.stem)
def test_kept_without_outputs(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert not any(c.outputs or c.execution_count for c in cells)


@pytest.mark.slow
def test_quickstart(tmp_path, monkeypatch):
    assert figures(execute("quickstart.ipynb", tmp_path, monkeypatch)) == 6
    assert (tmp_path / "quickstart.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("real", [False, True], ids=["mock", "archive"])
def test_real_spectra(tmp_path, monkeypatch, request, real):
    """On mock spectra that it writes itself, and on those of the archive where they are."""
    if real:
        monkeypatch.setenv("FLOWSPEC_TEST_DATA", str(request.getfixturevalue("data")))
    else:
        monkeypatch.delenv("FLOWSPEC_TEST_DATA", raising=False)
    assert figures(execute("real_spectra.ipynb", tmp_path, monkeypatch)) == 4
    assert (tmp_path / "mock-spectra").is_dir() != real


@pytest.mark.slow
def test_cloudy_inverse(tmp_path, monkeypatch):
    if "nebula" not in flowspec.shipped() and "FLOWSPEC_EXAMPLES_MODEL" not in os.environ:
        pytest.skip("the model 'nebula' is not in flowspec/models; set FLOWSPEC_EXAMPLES_MODEL")
    assert figures(execute("cloudy_inverse.ipynb", tmp_path, monkeypatch)) == 2


@pytest.mark.slow
def test_domain_adaptation(tmp_path, monkeypatch):
    assert figures(execute("domain_adaptation.ipynb", tmp_path, monkeypatch)) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("moons_survey", 8), ("observing_strategy", 3)])
def test_moons(tmp_path, monkeypatch, name, count):
    """With the shipped model, or that of `FLOWSPEC_EXAMPLES_MODEL`."""
    if "moons" not in flowspec.shipped() and "FLOWSPEC_EXAMPLES_MODEL" not in os.environ:
        pytest.skip("the model 'moons' is not in flowspec/models; set FLOWSPEC_EXAMPLES_MODEL")
    assert figures(execute(f"{name}.ipynb", tmp_path, monkeypatch)) == count
