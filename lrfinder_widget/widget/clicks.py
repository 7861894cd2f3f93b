"""What each click does; an error goes to the status line, as it would show up nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from lrfinder_widget.background.state import State

from .presenter import Presenter
from .session import Session
from .trials import TrialView

_DOUBLE_CLICK_S = 0.5  # the second click of a double click on Start does not stop the run


class Finder(Protocol):
    """What a click needs from the finder."""

    def start(self) -> object:
        """Run the test in the background."""

    def compare(self, lrs: list[float] | Literal["ladder"], steps: int) -> object:
        """Try a few learning rates in the background."""


class Clicks:
    """Wires the controls to the finder.

    Parameters
    ----------
    finder : Finder
        Starts runs.
    session : Session
        The runs.
    presenter : Presenter
        Has the controls, takes picks, and shows what went wrong.
    """

    def __init__(self, finder: Finder, session: Session, presenter: Presenter) -> None:
        self._finder = finder
        self._session = session
        self._presenter = presenter
        view, picker = presenter.view, presenter.picker
        self._started = -_DOUBLE_CLICK_S  # when Start was last clicked
        controls, marker, trials = view.controls, view.marker, view.trials
        controls.start.on_click(self._guarded(self._start))
        controls.pause.on_click(self._guarded(self._pause))
        controls.use.on_click(self._guarded(lambda: picker.pick(marker.lr)))
        controls.apply.on_click(self._guarded(presenter.apply_or_undo))
        controls.copy.on_click(lambda _: marker.copy(presenter.code or ""))
        controls.number.observe(self._guarded(picker.read_number), "value")
        for box in (view.setup.train_steps, view.setup.schedule):
            box.observe(self._guarded(presenter.replan), "value")
        trials.try_button.on_click(self._guarded(lambda: self._try(trials)))
        trials.take.on_click(self._guarded(self._take))

    def _guarded(self, act: Callable[[], object]) -> Callable[[Any], None]:
        def callback(_: Any) -> None:
            try:
                act()
            except (RuntimeError, ValueError) as error:
                self._presenter.picker.problem = str(error)
                self._presenter.redraw()

        return callback

    def _start(self) -> None:
        test = self._session.test
        if not test.state.active:
            with self._session.surroundings.entered():
                self._finder.start()
            self._started = time.monotonic()
        elif time.monotonic() - self._started > _DOUBLE_CLICK_S:
            test.stop()

    def _pause(self) -> None:
        test = self._session.test
        (test.resume if test.state is State.PAUSED else test.pause)()

    def _try(self, trials: TrialView) -> None:
        run = self._session.trial_test
        if run.state.active:
            run.stop()
        else:
            with self._session.surroundings.entered():
                self._finder.compare(*trials.values())

    def _take(self) -> None:
        comparison = self._session.comparison
        winner = None if comparison is None else comparison.winner
        if isinstance(winner, float):  # those of several groups are not one number
            self._presenter.picker.pick(winner)
