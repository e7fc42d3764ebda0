"""A quick classifier for all tests of evaluation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from desc.metrics import realism


@pytest.fixture(scope="session", autouse=True)
def few_trees() -> Iterator[None]:
    """The classifier has a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realism, "N_TREES", 5)
        yield
