"""A quick classifier for all tests of evaluation, and plots for only one of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from desc.metrics import realism
from desc.report import drawing


@pytest.fixture(scope="session", autouse=True)
def few_trees() -> Iterator[None]:
    """The classifier has a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realism, "N_TREES", 5)
        yield


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take longer than the evaluation. Fixtures of a wider scope still draw them."""
    monkeypatch.setattr(drawing, "can_draw", lambda: False)
