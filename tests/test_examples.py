"""The example notebooks: kept with outputs that are current, and run on small settings."""

import base64
import io
import os
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
from PIL import Image

import flowspec
from benchmarks import notebooks

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
    return len(notebooks.pictures(notebook))


@pytest.fixture
def book() -> nbformat.NotebookNode:
    """A notebook as it is after a run: a model, a print, a figure, a table."""
    v4 = nbformat.v4
    sources = ["%matplotlib inline\nimport flowspec as fs", "post = fs.load('nebula')",
               "print(1)", "figure"]
    cells = [v4.new_code_cell(source) for source in sources]
    cells[2].outputs = [v4.new_output("stream", name="stdout", text="1\n")]
    cells[3].outputs = [v4.new_output("execute_result", {"text/plain": "a figure"})]
    return v4.new_notebook(cells=[v4.new_markdown_cell("# Words"), *cells])


@pytest.mark.parametrize("path", notebooks.books(), ids=lambda p: p.stem)
def test_kept_with_outputs_of_today(path):
    """Of its code and of the shipped models that it loads, whole, and fit to be kept."""
    found = notebooks.faults(path)
    command = f"python -m benchmarks notebooks --only {path.stem}"
    assert not found, f"{'; '.join(found)}: run `{command}`"


def test_they_are_small_and_told_of():
    assert sum(path.stat().st_size for path in notebooks.books()) <= notebooks.LARGEST_OF_ALL
    rows = [line for line in notebooks.PAGE.read_text().splitlines() if line.startswith("| [")]
    assert {row.split("]")[0][3:] for row in rows} == {path.stem for path in notebooks.books()}
    assert all(float(row.split("|")[-2]) > 0 for row in rows), "seconds"


def test_a_stamp_is_of_the_code_and_of_the_models(book, monkeypatch, tmp_path):
    before = notebooks.stamp(book)
    assert list(before["models"]) == ["nebula"]
    book.cells[0].source = "# Other words"
    assert notebooks.stamp(book) == before
    other = tmp_path / "nebula.safetensors"
    other.write_bytes(b"another model")
    monkeypatch.setattr(flowspec, "shipped", lambda: {"nebula": other})
    assert notebooks.stamp(book)["models"] != before["models"]
    book.cells[2].source = "MODEL = 'nebula'\npost = fs.load(MODEL)"
    after = notebooks.stamp(book)
    assert after["code"] != before["code"] and list(after["models"]) == ["nebula"]
    book.cells[2].source = "sim = fs.GalaxySimulator('nebula')"
    assert not notebooks.stamp(book)["models"]


def test_faults_of_a_notebook(book):
    """Each of what no notebook may be kept with is seen, and nothing else."""
    assert not notebooks.faults_of(book, 1000)
    assert "bytes" in notebooks.faults_of(book, 10**6)[0]
    shown = book.cells[3].outputs[0]
    shown.text = "/home/somebody/lines.ecsv"
    assert "/home/s" in notebooks.faults_of(book, 1000)[0]
    shown.text, shown.name = "https://host/home/x and 1/2", "stderr"
    assert "warning" in notebooks.faults_of(book, 1000)[0]
    shown.name = "stdout"
    assert not notebooks.faults_of(book, 1000)
    book.cells[4].outputs = []
    assert notebooks.faults_of(book, 1000) == ["code cell 3 has no output"]


def test_what_is_of_a_machine_is_left_out(book):
    v4, cells = nbformat.v4, book.cells
    cells[3].outputs.append(v4.new_output("stream", name="stderr", text="a bar\n100 %\n"))
    cells[4].outputs[0].data["text/html"] = '<table id="table140-77" class="x">'
    cells[4].metadata["execution"] = {"iopub.execute_input": "2026-01-01"}
    assert notebooks.clean(book) == 2
    assert [len(cell.outputs) for cell in cells[3:]] == [1, 1] and not cells[4].metadata
    assert cells[4].outputs[0].data["text/html"] == '<table class="x">'
    assert book.metadata["flowspec"] == notebooks.stamp(book)
    nbformat.validate(book)


def test_a_small_picture_keeps_colours_of_few_pixels():
    shades = np.random.default_rng(0).integers(0, 256, (200, 200, 1)).repeat(3, axis=2)
    shades[100, :40] = (0, 158, 115)
    full, found = io.BytesIO(), io.BytesIO()
    Image.fromarray(shades.astype(np.uint8)).save(full, "png")
    found.write(base64.b64decode(notebooks.small(base64.b64encode(full.getvalue()).decode())))
    after = np.asarray(Image.open(found).convert("RGB")).astype(int)
    assert abs(after - shades).max() <= 4 and found.tell() < full.tell()


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
