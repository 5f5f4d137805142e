"""Fixtures that any area's tests may ask for, those of the real browser and of the npm package; and how Hypothesis draws."""

import atexit
import os
import shutil
import tempfile

import pytest
from hypothesis import settings

from tests.npm import package, project, tarball
from tests.web.fixtures import assets, chromium, page, site
from tests.web.stubbed import python_files, stubbed, stubbed_model

__all__ = ["assets", "chromium", "package", "page", "project", "python_files", "site", "stubbed", "stubbed_model", "tarball"]

# Locally every run looks elsewhere; where a change is judged, the same examples are drawn each time.
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# What is found out about adapters is found out anew.
os.environ["FANLIGHT_NOTES"] = tempfile.mkdtemp(prefix="fanlight-notes-")
os.environ["FANLIGHT_STORE"] = f"{os.environ['FANLIGHT_NOTES']}/models"
os.environ["FANLIGHT_TUNE"] = "0"  # and timing decides nothing
atexit.register(shutil.rmtree, os.environ["FANLIGHT_NOTES"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Files that want a browser or the npm package first: one test of theirs may take a minute, and none is to begin when all
    else is done. (`--no-loadscope-reorder` in the Makefile keeps this order.)"""
    slow = {item.path for item in items if item.get_closest_marker("browser") or "package" in item.fixturenames}
    items.sort(key=lambda item: item.path not in slow)
