"""`LRFinder`, the widget: the public class, with every method in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.background.state import State
from lrfinder_widget.curve.budget import Budget, Schedule
from lrfinder_widget.curve.loss_curve import LossCurve, Reason
from lrfinder_widget.curve.plan import Mode, SweepPlan
from lrfinder_widget.curve.suggest import Suggestion
from lrfinder_widget.runs.source import RunSource
from lrfinder_widget.training.metric import Metric
from lrfinder_widget.training.source import TrainingSource
from lrfinder_widget.training.task import Stop, TrainingTask

from .clicks import Clicks
from .elsewhere import Elsewhere
from .exports import Exports
from .hosts import in_marimo
from .page import Page
from .presenter import Presenter
from .sentences import MISSING
from .session import Session
from .side_runs import SideRuns
from .takeover import forget, starting, stop_others, take_over
from .variable import Namespace, Variable

_VIEW = "application/vnd.jupyter.widget-view+json"


class LRFinder(Elsewhere, SideRuns, Exports, Page):
    """An LR range test in the notebook: watch the loss, drag the marker, use the number.

    The test trains `model` in a background thread, one optimizer step per learning rate, while the
    notebook stays usable. Whatever happens, model, optimizer and random state are put back bit for
    bit. The learning rate that you pick is assigned to `variable` in the notebook's namespace.

    Parameters
    ----------
    model : torch.nn.Module
        Do not use it while the test runs.
    optimizer : torch.optim.Optimizer
        Read when the test starts. Groups with different learning rates keep their ratios, and the
        learning rate shown is that of the group with the largest.
    batches : iterable
        A `DataLoader`, or any other iterable; a one-shot iterator is used up.
    criterion : callable, optional
        ``criterion(output, target)`` for batches ``(inputs, target, …)``. Without it, each batch
        must be a mapping, and the loss is ``model(**batch).loss``.
    step : callable, optional
        ``step(batch) -> loss``, the body of your own training loop, instead of `criterion`.
    start_lr, end_lr, num_iter, mode
        The first and last learning rate, both exact, and their number: by default 1e-7, 10 and 100,
        evenly spaced on a logarithmic (``"exp"``, the default) or a linear axis (``"linear"``).
    stop, accumulate, val_batches, preserve, device
        As for `sweep`.
    repeats : int, default 1
        Number of tests to run in a row, see `range_test`; the chart shows each, and their median.
    train_steps, schedule
        For how many optimizer steps you will train, if you know, and whether at a constant learning
        rate (``"constant"``, the default) or a decaying one (``"decay"``): what the candidate is
        for. Both can be changed in the widget, after a test as well.
    diagnose : bool, default False
        Whether to look at the gradient and the update of each step, too, see `sweep`. Can be
        changed in the widget.
    metric : {"accuracy"} or callable, optional
        ``metric(output, target)``, measured beside the loss and drawn on an axis of its own, see
        `sweep`. The suggestion does not depend on it.
    variable : str or None, default "lr"
        The name to which a pick is assigned. If it already holds a positive number, the marker
        starts there; if a cell assigns another one, the marker follows.
    namespace : MutableMapping, optional
        The namespace of `variable`; by default that of the notebook.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments, before anything is touched.

    Examples
    --------
    >>> LRFinder(model, optimizer, loader, nn.CrossEntropyLoss()).start()  # doctest: +SKIP
    """

    _closed = True  # until the constructor is done: ipywidgets closes what is garbage-collected

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
        stop: Stop = "divergence",
        accumulate: int = 1,
        val_batches: Sequence[Any] | None = None,
        repeats: int = 1,
        preserve: Iterable[Any] = (),
        device: torch.device | str | None = None,
        train_steps: int | None = None,
        schedule: Schedule = "constant",
        diagnose: bool = False,
        metric: Metric = None,
        variable: str | None = "lr",
        namespace: Namespace | None = None,
    ) -> None:
        plan = SweepPlan(start_lr, end_lr, num_iter, mode, repeats, diagnose)
        planned = Budget(train_steps=train_steps, schedule=schedule)
        task = TrainingTask(
            model,
            optimizer,
            batches,
            criterion,
            step=step,
            stop=stop,
            accumulate=accumulate,
            val_batches=val_batches,
            preserve=preserve,
            device=device,
            metric=metric,
        )
        if diagnose:
            task.check_diagnosable()
        self._begin(TrainingSource(task), plan, planned, Variable(variable, namespace))

    def _begin(self, source: RunSource, plan: SweepPlan, planned: Budget, target: Variable) -> None:
        super().__init__()  # once nothing is refused any more: ipywidgets keeps what it has made
        self._session = Session(source, plan, planned)
        self.cell = self._session.surroundings.cell
        self._presenter = Presenter(self, self._session, target)
        self._picker = self._presenter.picker
        Clicks(self, self, self._session, self._presenter)
        self._presenter.redraw()
        self._closed, self._whole = False, True
        self.open()
        take_over(self)

    def __repr__(self) -> str:
        test = self._session.test
        return f"LRFinder({test.state.value}, {len(test)} points, lr={self.lr})"

    _ipython_display_ = None  # of ipywidgets 7, which would display the page alone

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**kwargs) or ({_VIEW: {}}, {})
        if in_marimo():  # shows the page by itself
            return bundle, metadata
        shown = self._presenter.view.display.box()
        bundle[_VIEW] = {**bundle[_VIEW], "model_id": shown.model_id}
        bundle["text/plain"] = f"{self!r}\n{MISSING}"  # shown by hosts without widgets
        if len(self.curve):  # and these by those that show a saved notebook
            picture = self.snapshot()
            bundle |= {"image/svg+xml": picture._repr_svg_(), "text/html": picture._repr_html_()}
        return bundle, metadata

    # -- reading ----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state of the latest test; ``State.READY`` before the first."""
        return self._session.test.state

    @property
    def reason(self) -> Reason | None:
        """Why the latest test ended, as a keyword, see `LossCurve`; `None` until then."""
        return self._session.test.reason

    @property
    def exception(self) -> BaseException | None:
        """The exception that made the latest test fail, as it was raised; else `None`."""
        return self._session.test.exception

    @property
    def unrestored(self) -> tuple[str, ...]:
        """What the latest run could not put back, one sentence each; empty if all is as it was."""
        return self._session.unrestored

    @property
    def curve(self) -> LossCurve:
        """The curve of the latest test so far."""
        return self._session.curve

    @property
    def curves(self) -> list[LossCurve]:
        """The curves of all tests, the latest last."""
        return self._session.curves

    @property
    def suggestion(self) -> Suggestion:
        """The suggestion of the latest curve, for the training that is planned now.

        Its ``reason`` is a sentence: why, or why not.
        """
        return self.curve.suggestion

    def parameters(self) -> list[Tensor]:
        """Return the parameters that a run changes and puts back."""
        return self._session.source.parameters()

    # -- steering ---------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the test in the background; return the finder, which a cell's last line displays.

        If another finder is running on the same model, it is stopped and restored first.

        Raises
        ------
        RuntimeError
            If a test or trial runs are in progress, or the finder is closed.
        ValueError
            If a set-up box is invalid, or the optimizer holds only what is frozen; nothing starts.
        """
        self._session.check_idle()  # before the lock: a step that starts its finder must not wait
        with starting:
            stop_others(self)
            self._session.launch(self._presenter.begin(), self._presenter.show)
        self._session.wait_until_open()
        return self

    def pause(self) -> None:
        """Pause the test after the current step, without restoring; `RuntimeError` if none runs."""
        self._session.test.pause()

    def resume(self) -> None:
        """Continue the test after a pause; `RuntimeError` if it is not paused."""
        self._session.test.resume()

    def stop(self) -> None:
        """End a run after the current step, and return once everything is put back."""
        self._session.stop()

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until the run that was started last has ended and everything is put back.

        Raises
        ------
        RuntimeError, TimeoutError
            If it was not started or is paused; if it has not ended after `timeout` seconds.
        BaseException
            The exception that made the run fail, as your code raised it.
        """
        self._presenter.draw_until_ended(timeout)
        self._session.wait(timeout)
        return self

    def close(self) -> None:
        """Stop a run, wait until everything is put back, and close every widget."""
        if self._closed:
            return
        # Without start()'s lock: the run it waits for may itself call close().
        self._closed = self._session.closed = True
        try:
            self.stop()
        finally:  # also after an interrupt
            forget(self)
            self._presenter.close()
            self._presenter.view.display.close()
            super().close()
            self._session.release()

    def pick(self, lr: float | None = None) -> float:
        """Pick a learning rate in code, as with the marker by hand.

        Parameters
        ----------
        lr : float, optional
            By default the suggestion of the latest curve.

        Returns
        -------
        float
            The pick: `lr` rounded to three significant digits.

        Raises
        ------
        RuntimeError, ValueError
            If the curve suggests nothing (it says why); if `lr` is not a positive, finite number.
        """
        if lr is None and (lr := self.suggestion.lr) is None:
            raise RuntimeError(f"the curve suggests no learning rate: {self.suggestion.reason}")
        return self._picker.pick(lr)

    def apply(self, optimizer: Optimizer | None = None, scheduler: Any = None) -> None:
        """Set the pick on an optimizer, and on the schedule that it follows.

        The groups keep their ratios. A schedule continues from where it is, at the new rate: the
        pick becomes its peak if it has one (``max_lr``), else its initial rate.

        Parameters
        ----------
        optimizer, scheduler : optional
            By default the finder's own optimizer; its scheduler, if there is one. It is played on a
            copy, and a warning says so if its peak from here on is not the pick.
        """
        self._presenter.apply(optimizer, scheduler)

    def add(self, curve: LossCurve, name: str | None = None) -> None:
        """Show another curve on the chart, such as another finder's; its `name` can be edited."""
        if not isinstance(curve, LossCurve):
            raise TypeError(f"curve must be a LossCurve; got {type(curve).__name__}.")
        self._presenter.keep(curve, name)
