"""Shared fixtures: where the real test data are, and which tests are long."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real test data (`FLOWSPEC_TEST_DATA`), or a skip that says what is missing."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("FLOWSPEC_TEST_DATA", root / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"real test data not found at {folder}; set FLOWSPEC_TEST_DATA")
    return folder
