"""The sentences that a finder shows, and why a control cannot be used."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import FrameType

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.points import NOT_RESTORED, unrestored_text
from lrfinder_widget.curve.reasons import NO_LENGTH
from lrfinder_widget.runs.source import About

from .number import format_lr

MISSING = (
    "No chart here? It needs ipywidgets, bqplot and anywidget both where the kernel runs and where "
    "the notebook server runs. Install them there (pip install ipywidgets bqplot anywidget), then "
    "reload the page."
)

ONLY_DURING_CELLS = (
    "This notebook draws a run only while a cell runs: finder.start().wait() in a cell shows it "
    "live, and so does finder.wait() after a click on Start."
)


def sentences(
    test: RangeTest,
    curve: LossCurve,
    done: int,
    total: int,
    about: About,
    waiting: str,
    evidence: str | None,
) -> str:
    """Describe the state of the test and its result; what was not restored is told apart."""
    if waiting and test.state in (State.READY, State.RUNNING) and not test.stopping:
        return waiting
    text = _state_sentences(test, curve, done, total, about)
    if evidence is None or test.state is State.FAILED:
        return text
    return f"{text} {evidence}"


def for_a_hand(reason: str, about: About) -> str:
    """Name the boxes of the page where the reason of a suggestion names arguments."""
    boxes = _ALWAYS if about.has_own_settings else _ALWAYS | _NEXT_RUN
    for argument, box in boxes.items():
        reason = reason.replace(argument, box)
    return reason


_ALWAYS = {NO_LENGTH: ": enter the training steps in Set up for a sharper one"}
_NEXT_RUN = {
    "repeats=3": "3 repeats",
    "start_lr": "'from'",
    "end_lr": "'to'",
}


def _state_sentences(test: RangeTest, curve: LossCurve, done: int, total: int, about: About) -> str:
    where = f" on {about.device}" if about.device is not None else ""
    of_all = f"{done} steps" if about.open_ended else f"{done} of {total} steps"
    if test.state is State.READY and not about.here:
        return f"Start trains {total} steps{where}, one per learning rate."
    if test.state is State.READY:
        return (
            f"Start trains {total} steps{where}, one per learning rate, and then restores the "
            "model, the optimizer and the random state."
        )
    if test.stopping:
        return "Stopping after the current step; then everything is restored."
    if test.state is State.RUNNING and not about.here:
        return f"Running{where}. The notebook stays usable."
    if test.state is State.RUNNING:
        return "Running. The notebook stays usable; leave the model alone until the test has ended."
    if test.state is State.PAUSED and not about.here:
        return f"Paused after {of_all}."
    if test.state is State.PAUSED:
        return (
            f"Paused after {of_all}. The model is in the middle of the test; "
            "resume or stop the test before you use it."
        )
    if test.state is State.FAILED:
        return f"Failed after {done} steps{after_failure(test, here=about.here)}"
    at = f" at {format_lr(curve.lrs[-1])}" if len(curve) else ""
    ended = {
        "completed": f"All {done if about.open_ended else total} steps done.",
        "diverged": f"The loss diverged{at}, so the test ended there.",
        "non-finite": f"The loss was no longer finite{at}, so the test ended there.",
        "exhausted": f"The data ran out after {of_all}.",
        "stop-rule": f"Your stop rule ended the test{at}.",
        "stopped": f"Stopped after {of_all}.",
        "no-effect": f"Ended after {of_all}.",
    }
    return f"{ended[test.reason or 'stopped']} {restored_sentence(test, here=about.here)}".strip()


def restored_sentence(run: RangeTest, *, here: bool) -> str:
    """Say whether everything was put back after a run; of what was not here, only what was not."""
    if run.unrestored:
        return NOT_RESTORED
    return unrestored_text(()) if here else ""


def after_failure(run: RangeTest, *, here: bool) -> str:
    """Say whether a failed run was restored, then its exception's type, message and notes."""
    restored = "; everything has been restored." if here else "."
    if run.unrestored:
        restored = f". {NOT_RESTORED}"
    said = "".join(traceback.format_exception_only(run.exception))
    for note in getattr(run.exception, "__notes__", ()):
        if "Traceback (most recent call last):" in note:  # it is shown among the details
            said = said.replace(note, "")
    return f"{restored} {_sendable(said.strip())}"


def traceback_text(exception: BaseException | None) -> str:
    """Return the traceback from the first frame of the user's code, without our own before it."""
    return "" if exception is None else _sendable("".join(_own_traceback(exception)))


def _sendable(text: str) -> str:
    """Return a text without halves of surrogate pairs: no page can be sent one."""
    return text.encode(errors="backslashreplace").decode()


def _own_traceback(exception: BaseException) -> list[str]:
    """Format the traceback from the first frame of the user's code, without our own before it."""
    trace = exception.__traceback__
    while trace is not None and _is_ours(trace.tb_frame):
        trace = trace.tb_next
    return traceback.format_exception(type(exception), exception, trace or exception.__traceback__)


def _is_ours(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__package__"))
    return f"{package}.".startswith("lrfinder_widget.")


def blocked(
    test: RangeTest,
    trial_run: RangeTest,
    varied_run: RangeTest,
    *,
    picked: bool,
    candidate: bool,
    cannot: Mapping[str, str],
) -> dict[str, str]:
    """Say why controls cannot be used now.

    Parameters
    ----------
    test, trial_run, varied_run : RangeTest
        The latest test, the latest trial runs, and the latest tests with a setting varied.
    picked, candidate : bool
        Whether a learning rate has been picked; whether the curve shown has a candidate.
    cannot : mapping of str to str
        What cannot be done with what is trained, in the same form.

    Returns
    -------
    dict of str to str
        A sentence for each control that cannot be used, by its name.
    """
    why: dict[str, str] = {}
    testing, trying, varying = (run.state.active for run in (test, trial_run, varied_run))
    if not testing:
        why["pause"] = "No test is running."
    elif test.stopping:
        why["start"] = why["pause"] = "The test is stopping."
    if not candidate:
        why["narrow"] = "There is no candidate to narrow the range to."
    if not picked:
        why["apply"] = "Pick a learning rate first."
    if testing:
        running = "A test is running: stop it, or wait until it has ended."
        why |= dict.fromkeys(("try", "take", "vary", "apply", "choose", "settings"), running)
    if trying:
        trials = "Trial runs are in progress: stop them, or wait until they have ended."
        why |= dict.fromkeys(("start", "vary", "apply", "trial_settings"), trials)
        if trial_run.stopping:
            why["try"] = "The trial runs are stopping."
    if varying:
        tests = "Tests with a setting varied are in progress: stop them, or wait until they end."
        why |= dict.fromkeys(("start", "try", "apply", "vary_settings"), tests)
        if varied_run.stopping:
            why["vary"] = "The tests are stopping."
    stops = {"start": testing, "try": trying, "vary": varying}  # what the buttons do then
    return why | {name: text for name, text in cannot.items() if not stops.get(name)}
