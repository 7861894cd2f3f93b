"""Tests interrupt runs, so interrupts must reach them, however they were started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

HANDLER = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
IGNORING = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
"""Starts a command as a shell does in the background: with interrupts ignored."""


def handled(*start: str) -> str:
    return subprocess.check_output([*start, sys.executable, "-c", HANDLER], text=True).strip()


def test_an_interrupt_reaches_a_test_and_what_it_starts() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert handled() == "True"


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_interrupt_reaches_tests_that_a_shell_started_in_its_background(workers: str) -> None:
    assert handled(*IGNORING) == "False"
    root = Path(__file__).parents[1]
    test = f"{__file__}::{test_an_interrupt_reaches_a_test_and_what_it_starts.__name__}"
    pytest_run = [sys.executable, "-m", "pytest", "-n", workers, "-p", "no:cacheprovider", test]
    done = subprocess.run(
        [*IGNORING, *pytest_run], cwd=root, capture_output=True, text=True, check=False
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
