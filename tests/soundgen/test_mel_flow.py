"""The flow: components, noise and integration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from desc.soundgen.flow_training import FlowTask, principal_components
from desc.soundgen.mel_flow import Components, MelFlow, colouring_filters
from desc.soundgen.mel_generator import FlowSource
from desc.soundgen.recordings import SoundRecordings
from tests.soundgen.conftest import FAST_FLOW, FLOW, MEL


def test_components_are_those_of_most_variance(rng: np.random.Generator) -> None:
    hidden = np.array([[5.0], [2.0], [0.1]]) * rng.standard_normal((3, 4000))
    turned, _ = np.linalg.qr(rng.standard_normal((6, 3)))
    basis, level = principal_components((turned @ hidden).astype(np.float32), 2)
    assert np.allclose(np.abs(basis.T @ turned[:, :2]), np.eye(2), atol=0.02)
    assert level[:, 0] == pytest.approx([5, 2], rel=0.05)


def test_noise_has_the_spectrum_of_the_components(rng: np.random.Generator) -> None:
    white = rng.standard_normal((2, 20000)).astype(np.float32)
    slow = lfilter([1], [1, -0.95], white[0]) * np.sqrt(1 - 0.95**2)
    flow = MelFlow(2, 8, 1)
    assert torch.equal(flow.noise(1, 9, torch.Generator().manual_seed(3))[0],
                       torch.randn(1, 2, 9 + 255, generator=torch.Generator().manual_seed(3))
                       [0, :, 128:137])  # fmt: skip
    flow.colour.copy_(colouring_filters([np.stack([slow, white[1]]).astype(np.float32)]))
    noise = flow.noise(16, 4000, torch.Generator().manual_seed(0)).numpy()
    assert noise.shape == (16, 2, 4000)
    assert noise.std((0, 2)) == pytest.approx([1, 1], rel=0.05)
    for lag in (1, 5, 20):  # an autoregression of one step forgets by .95 a frame
        alike = (noise[:, :, lag:] * noise[:, :, :-lag]).mean((0, 2))
        assert alike == pytest.approx([0.95**lag, 0], abs=0.06)


def test_noise_drawn_in_blocks_is_that_of_one_draw() -> None:
    flow = MelFlow(2, 8, 1)
    flow.colour.normal_(generator=torch.Generator().manual_seed(1))
    source = FlowSource(flow, Components(torch.eye(2), torch.zeros(2, 1), torch.ones(2, 1)), 1)
    for sizes in ([9], [3, 5, 300, 1]):
        white = torch.Generator().manual_seed(3)
        widths = [sizes[0] + 255, *sizes[1:]]
        drawn = torch.cat([torch.randn(1, 2, n, generator=white) for n in widths], 2)
        blocks = list(source.draws(sizes, torch.Generator().manual_seed(3)))
        assert [block.shape[2] for block in blocks] == sizes
        torch.testing.assert_close(torch.cat(blocks, 2), flow.coloured(drawn))
    once = flow.noise(1, 9, torch.Generator().manual_seed(3))
    assert torch.equal(next(source.draws([9], torch.Generator().manual_seed(3))), once)


def test_transport_follows_the_velocity() -> None:
    class Straight(MelFlow):
        """dx/dt = 2 t + 1: noise is moved by 2, which Heun's method meets but for the last step."""

        def forward(self, x: torch.Tensor, when: torch.Tensor) -> torch.Tensor:
            return (2 * when + 1)[:, None, None].expand_as(x)

    noise = torch.randn(2, 3, 4)
    moved = Straight(3, 8, 1).transport(noise, 10)
    last = 0.1 * 0.1  # Euler's error over the last tenth
    torch.testing.assert_close(moved, noise + 2 - last)


def test_what_is_generated_has_the_mean_and_spread_of_the_recordings(
    recordings: SoundRecordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = FlowTask(MEL, FLOW, FAST_FLOW, recordings)
    off = torch.arange(6.0)[:, None]  # component 0 is right, the others ever higher and wider
    monkeypatch.setattr(task.flow, "transport", lambda noise, _: noise * (1 + off / 5) + off)
    task.validate()
    torch.testing.assert_close(task.components.offset, off)  # the noise and its mirror image
    made = task.in_bands(task.outputs(256, 128, torch.Generator().manual_seed(5)))
    components = (torch.from_numpy(task.basis).T @ made / torch.from_numpy(task.level)).numpy()
    assert components.mean((0, 2)) == pytest.approx(np.zeros(6), abs=0.1)
    assert components.std((0, 2)) == pytest.approx(np.ones(6), abs=0.1)
    stored = task.arrays
    numbers = task.flow.noise(256, 128, torch.Generator().manual_seed(5)) * (1 + off / 5) + off
    again = stored["basis"] @ ((numbers - stored["offset"]) * stored["level"])
    torch.testing.assert_close(made, again)
