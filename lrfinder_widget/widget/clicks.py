"""What each message of the page does; an error goes to the status line, where a hand sees it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from lrfinder_widget.background.state import State

from .page import Page
from .presenter import Presenter
from .run_settings import OF_THE_RUN, OF_THE_TRAINING, OF_TRIALS, OF_VARIATION, is_text
from .session import Session

logger = logging.getLogger(__name__)

_DOUBLE_CLICK_S = 0.5  # the second click of a double click on Start does not stop the run
_LONGEST = 200  # characters of what is typed
_LONGEST_NAME = 100_000  # it is cut
_FILE = "lr-range-test"
_KINDS = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "csv": "text/csv",
    "json": "application/json",
}


class Finder(Protocol):
    """What a click needs from the finder."""

    def start(self) -> object:
        """Run the test in the background."""

    def compare(self, lrs: list[float] | Literal["ladder"], steps: int) -> object:
        """Try a few learning rates in the background."""

    def vary(self, **settings: Any) -> object:
        """Run the test for each value of other settings in the background."""


class Clicks:
    """Does what the page asks for.

    A message is a dict with one of these keys; others, and values of another kind, are dropped.

    ``click``
        The name of a button: start, pause, apply, narrow, try, take, vary. Start, Try and Vary stop
        a run that is going on.
    ``type``
        What was typed into the number box: a pick.
    ``set``
        A dict of boxes and their contents.
    ``run``
        The key of a run, with ``shown`` (bool), ``name`` (str) or ``do`` (choose, remove).
    ``save``
        The kind of a file: svg, png, csv, json.
    ``hello``
        A page has been drawn.

    Parameters
    ----------
    finder : Finder
        Starts runs.
    page : Page
        Sends the messages.
    session : Session
        The runs.
    presenter : Presenter
        Takes picks, and shows what went wrong.
    """

    def __init__(self, finder: Finder, page: Page, session: Session, presenter: Presenter) -> None:
        self._finder = finder
        self._page = page
        self._session = session
        self._presenter = presenter
        self._started = -_DOUBLE_CLICK_S  # when Start was last clicked
        self._buttons: dict[object, Callable[[], object]] = {
            "start": self._start,
            "pause": self._pause,
            "apply": presenter.apply_or_undo,
            "narrow": self._narrow,
            "try": self._try,
            "take": self._take,
            "vary": self._vary,
        }
        self._doors: dict[str, Callable[[Any, dict[Any, Any]], object]] = {
            "click": self._click,
            "type": self._type,
            "set": self._set,
            "run": self._change_run,
            "save": self._save,
            "hello": lambda *_: presenter.view.display.page_was_drawn(),
        }
        page.on_message(self.receive)

    def receive(self, message: object) -> None:
        """Do what a message asks for, on whatever thread it comes."""
        if not isinstance(message, dict) or self._session.closed:
            return
        for name, do in self._doors.items():
            if name in message:
                try:
                    do(message[name], message)
                except (RuntimeError, ValueError) as error:
                    self._presenter.picker.problem = str(error)
                    self._presenter.redraw()
                return
        logger.debug("a message of the page was dropped: %r", message)

    # -- buttons ----------------------------------------------------------------------------------

    def _click(self, name: object, _message: object) -> None:
        if not isinstance(name, str) or name not in self._buttons:
            return
        if why := self._presenter.blocked.get(name):  # a page that has not heard of it yet
            raise RuntimeError(why)
        self._buttons[name]()

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

    def _narrow(self) -> None:
        with self._presenter.view.lock:
            self._presenter.view.narrow()
        self._presenter.redraw()

    def _try(self) -> None:
        run = self._session.trial_test
        if run.state.active:
            run.stop()
        else:
            with self._session.surroundings.entered():
                self._finder.compare(*self._presenter.view.trial_plan.values())

    def _take(self) -> None:
        if (lr := self._page.trials.get("take")) is not None:
            self._presenter.picker.pick(lr)

    def _vary(self) -> None:
        run = self._session.varied_test
        if run.state.active:
            run.stop()
        else:
            self._presenter.picker.problem = None
            with self._session.surroundings.entered():
                self._finder.vary(**self._presenter.view.variation_plan.values())
            self._presenter.redraw()

    # -- boxes ------------------------------------------------------------------------------------

    def _type(self, typed: object, _message: object) -> None:
        if is_text(typed, _LONGEST):
            self._presenter.picker.read_number(typed)

    def _set(self, values: object, _message: object) -> None:
        view, blocked = self._presenter.view, self._presenter.blocked
        if not isinstance(values, dict):
            return
        names = {name for name, value in values.items() if view.settings.accepts(name, value)}
        if "settings" in blocked:
            names -= set(OF_THE_RUN)
        if "trial_settings" in blocked:
            names -= set(OF_TRIALS)
        if "vary_settings" in blocked:
            names -= set(OF_VARIATION)
        with view.lock:
            view.settings.set(**{name: values[name] for name in names})
            view.variation_plan.offer()
        try:
            if names & set(OF_THE_TRAINING):
                self._presenter.replan()
        finally:
            self._page.send_state("settings")  # also to a page whose value was refused
        self._presenter.redraw()

    # -- runs and files ---------------------------------------------------------------------------

    def _change_run(self, key: object, message: dict[Any, Any]) -> None:
        legend = self._presenter.view.legend
        with self._presenter.view.lock:
            run = None
            if isinstance(key, int) and not isinstance(key, bool):
                run = legend.find(key)
            if run is None:
                return
            if isinstance(shown := message.get("shown"), bool):
                run.shown = shown
            elif is_text(name := message.get("name"), _LONGEST_NAME):
                legend.rename(run, name)
            elif message.get("do") == "choose" and "choose" not in self._presenter.blocked:
                legend.current = run
            elif message.get("do") == "remove":
                legend.remove(run)
        self._presenter.redraw()

    def _save(self, ending: object, _message: object) -> None:
        if isinstance(ending, str) and ending in _KINDS:
            text = self._presenter.contents(ending)
            self._page.download(f"{_FILE}.{ending}", _KINDS[ending], text)
