"""`LRFinder`, the widget: a thin view of a `RangeTest`, and the picked learning rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import ipywidgets
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.training.apply import apply_lr
from lrfinder_widget.training.engine import StopRule, Sweep
from lrfinder_widget.training.param_groups import Mode

from .controls import MISSING
from .lines import ShownRun
from .picker import Picker
from .tables import Export
from .takeover import take_over
from .trials import TrialView
from .variable import Namespace, Variable
from .view import View

_DOUBLE_CLICK_S = 0.5  # the second click of two on Start is no Stop


class LRFinder(Export, ipywidgets.VBox):
    """An LR range test in the notebook: watch the loss, drag the marker, use the number.

    The test trains `model` in a background thread, one optimizer step per learning rate, while the
    notebook stays usable. Whatever happens, model, optimizer and random state are put back bit for
    bit. The learning rate that you pick is assigned to `variable` in the notebook's namespace.

    Parameters
    ----------
    model : torch.nn.Module
        Stays yours; leave it alone while the test runs.
    optimizer : torch.optim.Optimizer
        Read when the test starts. Groups with different learning rates keep their ratios, and the
        learning rate shown is that of the group with the largest.
    batches : iterable
        A `DataLoader`, or anything that can be iterated again; a one-shot iterator is used up.
    criterion : callable, optional
        ``criterion(output, target)`` for batches ``(inputs, target, …)``. Without it, a batch that
        is a mapping is given to the model as ``model(**batch).loss``.
    step : callable, optional
        ``step(batch) -> loss``, the body of your own training loop, instead of `criterion`.
    start_lr, end_lr, num_iter, mode
        The ladder of learning rates, from the first to the last, both exact; by default 100 of
        them, each a factor above the one before (``"exp"``), or an amount (``"linear"``).
    stop, accumulate, val_batches, preserve, device
        As for `sweep`.
    repeats : int, default 1
        So many tests in a row, see `range_test`; the chart shows each, and their median.
    variable : str or None, default "lr"
        The name that a pick is assigned to. A positive number that it holds is where the marker
        starts; when a cell assigns another, the marker follows.
    namespace : MutableMapping, optional
        Where `variable` lives, by default the notebook's namespace.

    Raises
    ------
    TypeError, ValueError
        For arguments that cannot work, before anything is touched.

    Examples
    --------
    >>> finder = LRFinder(model, optimizer, train_loader, nn.CrossEntropyLoss())  # doctest: +SKIP
    >>> finder.start()  # doctest: +SKIP
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        batches: Iterable[Any],
        criterion: Callable[..., Tensor] | None = None,
        *,
        step: Callable[[Any], Any] | None = None,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        num_iter: int = 100,
        mode: Mode = "exp",
        stop: Literal["divergence"] | StopRule | None = "divergence",
        accumulate: int = 1,
        val_batches: Sequence[Any] | None = None,
        repeats: int = 1,
        preserve: Iterable[Any] = (),
        device: torch.device | str | None = None,
        variable: str | None = "lr",
        namespace: Namespace | None = None,
    ) -> None:
        sweep = Sweep(
            model,
            optimizer,
            batches,
            criterion,
            step=step,
            start_lr=start_lr,
            end_lr=end_lr,
            num_iter=num_iter,
            mode=mode,
            stop=stop,
            accumulate=accumulate,
            val_batches=val_batches,
            repeats=repeats,
            preserve=preserve,
            device=device,
        )
        target = Variable(variable, namespace)
        held, ladder = target.read(), sweep.ladder
        Export.__init__(self, sweep)
        self._name = target.name
        self._offered: RangeTest | None = None  # the run whose candidate has been offered
        self._view = View(
            ladder,
            repeats=sweep.repeats,
            log=sweep.mode == "exp",
            device=self._where(),
            name=target.name,
            lr=math.sqrt(ladder[0] * ladder[-1]) if held is None else held,
            about=self._about,
            contents=self._contents,
            redraw=lambda: self._show(self._test),
        )
        self._lock, self._legend = self._view.lock, self._view.legend
        layout = {"width": "100%", "min_width": "0", "overflow": "hidden"}
        ipywidgets.VBox.__init__(self, self._view.children, layout=layout)
        self.add_class("lrf-finder")
        self._undo: Callable[[], None] | None = None  # of the last apply
        self._picker = Picker(self._view, target, self._picked)
        self._clicked = -_DOUBLE_CLICK_S  # when Start was last clicked
        self._closed = False
        self._wire()
        self._show(self._test)
        take_over(self)

    def __repr__(self) -> str:
        test = self._test
        return f"LRFinder({test.state.value}, {len(test)} points, lr={self.lr})"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        bundle["text/plain"] = f"{self!r}\n{MISSING}"  # shown by hosts without widgets
        if len(self.curve):  # and this by those that show a saved notebook
            picture = self.snapshot()
            bundle["image/svg+xml"] = picture._repr_svg_()
            bundle["text/html"] = picture._repr_html_()
        return bundle

    # -- the pick ---------------------------------------------------------------------------------

    @property
    def lr(self) -> float | None:
        """The pick; `None` while there is none."""
        return self._picker.lr

    def pick(self, lr: float | None = None) -> float:
        """Pick a learning rate in code, as the marker does by hand.

        Parameters
        ----------
        lr : float, optional
            By default what the latest curve suggests.

        Returns
        -------
        float
            The pick: `lr` rounded to three significant digits.

        Raises
        ------
        RuntimeError
            If no `lr` is given and the curve suggests nothing; the message says why.
        ValueError
            If `lr` is no positive number.
        """
        if lr is None:
            suggestion = self.suggestion
            if suggestion.lr is None:
                raise RuntimeError(f"the curve suggests no learning rate: {suggestion.reason}")
            lr = suggestion.lr
        return self._picker.pick(lr)

    def apply(self, optimizer: Optimizer | None = None, scheduler: Any = None) -> None:
        """Set the pick on an optimizer, and on the schedule that it follows.

        The groups keep their ratios. A schedule goes on from where it is, at the new rate: the pick
        is its peak where it has one (``max_lr``), else the rate that it started from.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer, optional
            By default the one that the test was given.
        scheduler : torch.optim.lr_scheduler.LRScheduler, optional
            The scheduler of that optimizer.

        Raises
        ------
        RuntimeError
            If nothing has been picked, or a test is running or paused.
        """
        self._check_idle()
        if self.lr is None:
            raise RuntimeError("nothing has been picked yet: drag the marker, or call pick().")
        with self._lock:
            self._undo = apply_lr(self.lr, optimizer or self._sweep.optimizer, scheduler)
        self._show(self._test)

    def _keep(self, curve: LossCurve, name: str | None) -> None:
        with self._lock:
            self._view.keep(curve, name)

    def _runs(self) -> list[tuple[str, LossCurve]]:
        with self._lock:
            return [(one.name, one.curve) for one in self._legend.all]

    def _current(self) -> tuple[ShownRun, list[ShownRun]]:
        with self._lock:
            return self._legend.current, self._legend.others

    def _picked(self) -> None:
        self._undo = None  # the next click applies the new pick
        self._show(self._test)

    def _click_apply(self) -> None:
        self._check_idle()
        with self._lock:  # one click after another, whatever thread they come on
            undo, self._undo = self._undo, None
            if undo is not None:
                undo()
        if undo is None:
            self.apply()
        self._show(self._test)

    def _let_go(self) -> None:
        with self._lock:
            self._undo = None
            self._picker.close()
            self._view.close()
            self.layout.close()
            ipywidgets.VBox.close(self)
            self.children = ()
            del self._view  # IPython keeps what a cell has shown, in `Out`: not all its widgets

    # -- wiring -----------------------------------------------------------------------------------

    def _wire(self) -> None:
        controls, marker = self._view.controls, self._view.marker
        controls.start.on_click(self._guarded(self._click_start))
        controls.pause.on_click(self._guarded(self._click_pause))
        controls.use.on_click(self._guarded(lambda: self._picker.pick(marker.lr)))
        controls.apply.on_click(self._guarded(self._click_apply))
        controls.copy.on_click(lambda _: marker.copy(self.code or ""))
        controls.number.observe(self._guarded(self._picker.read_number), "value")

        trials = self._view.trials
        trials.try_button.on_click(self._guarded(lambda: self._click_try(trials)))
        trials.take.on_click(self._guarded(self._click_take))

    def _click_try(self, trials: TrialView) -> None:
        if self._trial_run.state is State.RUNNING:
            self._trial_run.stop()
        else:
            self.compare(*trials.values())

    def _click_take(self) -> None:
        winner = None if self.comparison is None else self.comparison.winner
        if winner is not None:
            self._picker.pick(winner)

    def _show_trials(self, run: RangeTest) -> None:
        with self._lock:
            if not self._closed and self._trials is not None and run is self._trial_run:
                self._view.trials.show(run, self._trials.comparison, self._trials.steps)

    def _guarded(self, act: Callable[[], object]) -> Callable[[Any], None]:
        """Show in the status line what a click ran into: nobody else would see it."""

        def callback(_: Any) -> None:
            try:
                act()
            except (RuntimeError, ValueError) as error:
                self._picker.problem = str(error)
                self._show(self._test)

        return callback

    def _click_start(self) -> None:
        if self.state not in (State.RUNNING, State.PAUSED):
            self.start()
            self._clicked = time.monotonic()
        elif time.monotonic() - self._clicked > _DOUBLE_CLICK_S:
            self._test.stop()

    def _click_pause(self) -> None:
        (self.resume if self.state is State.PAUSED else self.pause)()

    def _prepare(self) -> None:
        """Take up what the set-up boxes say."""
        with self._lock:
            self._check_idle()  # it may have been closed on another thread
            sweep = self._sweep
            sweep.set_up(**self._view.setup.values())
            self._view.set_range(sweep.ladder, log=sweep.mode == "exp", repeats=sweep.repeats)

    def _replace(self, test: RangeTest) -> None:
        with self._lock:
            self._check_idle()
            super()._replace(test)
            self._view.begin(self._what())
            self._picker.begin()

    def _show(self, test: RangeTest) -> None:
        """Draw what the run is now; called on any thread."""
        with self._lock:
            if self._closed or test is not self._test:
                return
            curves = test.curves
            curve = LossCurve.median(curves)
            suggestion = curve.suggestion if test.state.ended else None
            if suggestion is not None and self._offered is not test:
                self._offered = test
                if suggestion.lr is not None:
                    self._picker.offer(suggestion.lr)
            self._view.show(test, curve, curves, suggestion, self._picker.problem)
            self._view.controls.show_apply(
                type(self._sweep.optimizer).__name__,
                possible=self.lr is not None and test.state not in (State.RUNNING, State.PAUSED),
                applied=self._undo is not None,
            )
