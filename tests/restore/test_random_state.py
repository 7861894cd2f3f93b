"""Which random states are read; that they are put back is in promises/test_restore.py."""

from __future__ import annotations

import pytest
import torch

from lrfinder_widget.restore.random_state import random_states


def test_without_an_accelerator_nobody_asks_which_one_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def current_accelerator() -> torch.device:
        raise RuntimeError("Cannot access accelerator device when none is available.")  # torch 2.6

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", current_accelerator)
    assert len(random_states()) == 3
