"""Settings of the tests of the embedded AWS; their fixtures are :mod:`embedded_aws.testing.fixtures`."""

from __future__ import annotations

from hypothesis import settings

from embedded_aws.testing.selection import pytest_ignore_collect

__all__ = ["pytest_ignore_collect"]
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # a timing is a benchmark, never a test
