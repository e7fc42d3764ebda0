"""Random numbers of steps: a function of seed, attempt, step and process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from desc.engine.randomness import derived_seed, preserved_randomness, step_generator

KNOWN = 3322602670769483112


def test_the_seed_of_a_step_is_known() -> None:
    assert step_generator(1, 2, 3).initial_seed() == derived_seed(1, 0, 2, 3) == KNOWN


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_seed_of_a_step_does_not_depend_on_hash_randomisation(hash_seed: str) -> None:
    code = "from desc.engine.randomness import derived_seed; print(derived_seed(1, 0, 2, 3))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == KNOWN


def test_steps_attempts_and_processes_have_numbers_of_their_own() -> None:
    keys = [(s, a, n, r) for s in (0, 1) for a in (0, 1) for n in (0, 1) for r in (0, 1)]
    drawn = {float(torch.rand(1, generator=step_generator(*key))) for key in keys}
    assert len(drawn) == len(keys)


def test_randomness_is_preserved() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    with preserved_randomness():
        torch.rand(5)
    assert torch.equal(torch.rand(1), expected)
