"""Fixtures that any area's tests may ask for, those of the real browser; and how Hypothesis draws."""

import os

from hypothesis import settings

from tests.web.fixtures import assets, chromium, page, site

__all__ = ["assets", "chromium", "page", "site"]

# Locally every run looks elsewhere; where a change is judged, the same examples are drawn each time.
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
