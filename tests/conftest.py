"""Fixtures that any area's tests may ask for: those of the real browser."""

from tests.web.fixtures import assets, chromium, page, site

__all__ = ["assets", "chromium", "page", "site"]
