"""`LRFinder`, the widget: the whole public class, every verb in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import ipywidgets
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.background.state import State
from lrfinder_widget.curve.comparison import Comparison
from lrfinder_widget.curve.loss_curve import LossCurve, Reason
from lrfinder_widget.curve.plan import Mode, SweepPlan
from lrfinder_widget.curve.suggest import Suggestion
from lrfinder_widget.training.task import Stop, TrainingTask

from . import tables
from .clicks import Clicks
from .controls import MISSING
from .number import format_lr
from .picture import Picture
from .presenter import Presenter
from .session import Session
from .takeover import current_cell, forget, starting, stop_others, take_over
from .variable import Namespace, Variable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class LRFinder(ipywidgets.VBox):
    """An LR range test in the notebook: watch the loss, drag the marker, use the number.

    The test trains `model` in a background thread, one optimizer step per learning rate, while the
    notebook stays usable. Whatever happens, model, optimizer and random state are put back bit for
    bit. The learning rate that you pick is assigned to `variable` in the notebook's namespace.

    Parameters
    ----------
    model : torch.nn.Module
        Leave it alone while the test runs.
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
        The learning rates of the test, from the first to the last, both exact: by default 100,
        evenly spaced on a logarithmic axis (``"exp"``) rather than a linear one (``"linear"``).
    stop, accumulate, val_batches, preserve, device
        As for `sweep`.
    repeats : int, default 1
        Number of tests to run in a row, see `range_test`; the chart shows each, and their median.
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
    >>> LRFinder(model, optimizer, loader, nn.CrossEntropyLoss()).start()  # doctest: +SKIP
    """

    _closed = True  # until the constructor is through: ipywidgets closes what is collected

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
        variable: str | None = "lr",
        namespace: Namespace | None = None,
    ) -> None:
        plan = SweepPlan(start_lr, end_lr, num_iter, mode, repeats)
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
        )
        self.cell = current_cell()
        self._session = Session(task, plan)
        self._presenter = Presenter(self._session, Variable(variable, namespace))
        self._picker = self._presenter.picker
        layout = {"width": "100%", "min_width": "0", "overflow": "hidden"}
        ipywidgets.VBox.__init__(self, self._presenter.view.children, layout=layout)
        self.add_class("lrf-finder")
        Clicks(self, self._session, self._presenter)
        self._closed = False
        self._presenter.redraw()
        take_over(self)

    def __repr__(self) -> str:
        test = self._session.test
        return f"LRFinder({test.state.value}, {len(test)} points, lr={self.lr})"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        bundle["text/plain"] = f"{self!r}\n{MISSING}"  # shown by hosts without widgets
        if len(self.curve):  # and this by those that show a saved notebook
            picture = self.snapshot()
            bundle |= {"image/svg+xml": picture._repr_svg_(), "text/html": picture._repr_html_()}
        return bundle

    # -- reading ----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the latest test is; ``State.READY`` before the first."""
        return self._session.test.state

    @property
    def reason(self) -> Reason | None:
        """Why the latest test ended, see `LossCurve`; `None` before that."""
        return self._session.test.reason

    @property
    def exception(self) -> BaseException | None:
        """What made the latest test fail, as it was raised."""
        return self._session.test.exception

    @property
    def curve(self) -> LossCurve:
        """The curve of the latest test so far."""
        return self._session.test.curve

    @property
    def curves(self) -> list[LossCurve]:
        """The curves of all tests, the latest last."""
        return self._session.curves

    @property
    def suggestion(self) -> Suggestion:
        """What the latest curve suggests, or why it suggests nothing."""
        return self.curve.suggestion

    @property
    def comparison(self) -> Comparison | None:
        """What the latest trial runs have shown so far; `None` before the first."""
        return self._session.comparison

    @property
    def lr(self) -> float | None:
        """The pick; `None` while there is none."""
        return self._picker.lr

    @property
    def code(self) -> str | None:
        """The pick as a line of code, to run the notebook again without the widget."""
        return self._presenter.code

    def parameters(self) -> list[Tensor]:
        """Return the parameters that a run changes and puts back."""
        return self._session.parameters()

    # -- steering ---------------------------------------------------------------------------------

    def start(self) -> Self:
        """Run the test in the background and return itself, so as a last line it shows the chart.

        A run of another finder on the same model is stopped first, and its restore waited for.

        Raises
        ------
        RuntimeError
            If a test or trial runs are under way, or the finder is closed.
        ValueError
            If what was typed into the set-up boxes cannot work; then nothing is started.
        """
        self._session.check_idle()  # before the lock: a step that starts its finder must not wait
        with starting:
            stop_others(self)
            self._session.launch(self._presenter.begin(), self._presenter.show)
        self._session.wait_until_open()
        return self

    def compare(self, lrs: Iterable[float] | None = None, steps: int = 200) -> Self:
        """Try a few learning rates in the background, as `lrfinder_widget.compare` does.

        Parameters
        ----------
        lrs : iterable of float, optional
            By default what the latest curve suggests to try; a `RuntimeError` if that is nothing.
        steps : int, default 200
            Optimizer steps of each; `lrfinder_widget.compare` takes 500 by default.
        """
        self._session.check_idle()
        if lrs is None and not (lrs := self.curve.trial_candidates()):
            raise RuntimeError("the curve has no candidates that are worth a trial; pass lrs=[…].")
        with starting:
            stop_others(self)
            trials = self._session.begin_trials(lrs, steps)
            self._session.launch(trials, self._presenter.show_trials)
        return self

    def pause(self) -> None:
        """Halt after the step under way, the model as it is; a `RuntimeError` if none runs."""
        self._session.test.pause()

    def resume(self) -> None:
        """Go on after a pause; a `RuntimeError` if the test is not paused."""
        self._session.test.resume()

    def stop(self) -> None:
        """End what runs after the step under way, and return when everything is put back."""
        self._session.stop()

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until what was started last has ended and everything is put back.

        Raises
        ------
        RuntimeError, TimeoutError
            If it was not started or is paused; if it goes on after `timeout` seconds.
        BaseException
            What made the test fail, as your code raised it.
        """
        self._session.wait(timeout)
        return self

    def close(self) -> None:
        """Stop a run, wait until everything is put back, and let go of every widget."""
        if self._closed:
            return
        # Without start()'s lock: the run that is waited for may close it too.
        self._closed = self._session.closed = True
        try:
            self.stop()
        finally:  # an interrupt does not keep the widgets
            forget(self)
            self._presenter.close()
            self.layout.close()
            ipywidgets.VBox.close(self)
            self.children = ()
            self._session.let_go()

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
        RuntimeError, ValueError
            If the curve suggests nothing, and why; if `lr` is not a positive, finite number.
        """
        if lr is None and (lr := self.suggestion.lr) is None:
            raise RuntimeError(f"the curve suggests no learning rate: {self.suggestion.reason}")
        return self._picker.pick(lr)

    def apply(self, optimizer: Optimizer | None = None, scheduler: Any = None) -> None:
        """Set the pick on an optimizer, and on the schedule that it follows.

        The groups keep their ratios. A schedule goes on from where it is, at the new rate: the pick
        is its peak where it has one (``max_lr``), else the rate that it started from.

        Parameters
        ----------
        optimizer, scheduler : optional
            By default the optimizer that the test was given; the scheduler that belongs to it.
        """
        self._presenter.apply(optimizer, scheduler)

    # -- in and out -------------------------------------------------------------------------------

    def add(self, curve: LossCurve, name: str | None = None) -> None:
        """Show another curve on the chart, as of another finder; its `name` can be edited there."""
        if not isinstance(curve, LossCurve):
            raise TypeError(f"curve must be a LossCurve, such as finder.curve; got {curve!r}.")
        self._presenter.keep(curve, name)

    def snapshot(self) -> Picture:
        """Return a static picture of the chart: the last line of a cell shows and saves it."""
        return self._presenter.picture()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the latest test by Matplotlib, on `ax` or in a new figure, with the pick."""
        ax = self.curve.plot(ax)
        if self.lr is not None:
            ax.axvline(self.lr, color="black", label=f"lr = {format_lr(self.lr)}")
            ax.legend()
        return ax

    def to_csv(self) -> str:
        """Return a table of the runs on the chart: their names, and columns as `to_dataframe`."""
        return tables.to_csv(self._presenter.runs())

    def to_json(self) -> str:
        """Return the pick and the runs on the chart, with their names, as `LossCurve.to_json`."""
        return self._presenter.to_json()

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas frame of `curves`.

        Its columns: ``run``, from 1, ``lr``, ``loss``, ``smoothed`` and ``baseline``, nan without.
        """
        return tables.to_dataframe(self.curves)
