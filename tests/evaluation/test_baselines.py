"""Properties of references and baselines."""

from __future__ import annotations

import numpy as np

from desc.evaluation.baselines import nearest_continuations, shuffled


def test_the_nearest_neighbour_of_a_copy_goes_on_like_the_copy(rng: np.random.Generator) -> None:
    training = [rng.standard_normal((400, 3)), rng.standard_normal((300, 3))]
    contexts = np.stack([training[1][50:150], training[0][200:300]])
    found = nearest_continuations(contexts, training, 60, n_draws=5)
    assert found.shape == (2, 2, 60, 3)  # a sample of each training recording
    np.testing.assert_array_equal(found[0, 0], training[1][150:210])
    np.testing.assert_array_equal(found[0, 1], training[0][300:360])


def test_shuffling_keeps_the_frames(rng: np.random.Generator) -> None:
    contexts = rng.standard_normal((2, 50, 3))
    found = shuffled(contexts, 120, 2, rng)
    assert found.shape == (2, 2, 120, 3)
    np.testing.assert_array_equal(np.sort(found[1, 0, :50], axis=0), np.sort(contexts[0], axis=0))
    assert not np.array_equal(found[0], found[1])
