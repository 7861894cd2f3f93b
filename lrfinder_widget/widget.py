"""`LRFinder`, the widget: a thin view of a `RangeTest`, and the picked learning rate."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import ipywidgets
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .controls import MISSING
from .curve import LossCurve, Reason
from .engine import StopRule, Sweep
from .learning_rate import Mode
from .namespace import Namespace, Variable
from .picker import Picker
from .run import RangeTest
from .state import State
from .suggest import Suggestion
from .takeover import current_cell, forget, stop_others, take_over
from .view import View

_OPENED_S = 30.0  # how long start() lets a loader start its workers before it returns anyway


class LRFinder(ipywidgets.VBox):
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
        preserve: Iterable[Any] = (),
        device: torch.device | str | None = None,
        variable: str | None = "lr",
        namespace: Namespace | None = None,
    ) -> None:
        self._sweep = Sweep(
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
            preserve=preserve,
            device=device,
        )
        target = Variable(variable, namespace)
        held, ladder = target.read(), self._sweep.ladder
        self.model = model
        self.cell = current_cell()
        self._starting = threading.Lock()
        self._test = RangeTest(())  # until the first start, one that is ready
        self._earlier: list[LossCurve] = []
        self._offered: RangeTest | None = None  # the run whose candidate has been offered
        self._view = View(
            ladder,
            log=self._sweep.mode == "exp",
            device=None if self._sweep.device is None else str(self._sweep.device),
            name=target.name,
            lr=math.sqrt(ladder[0] * ladder[-1]) if held is None else held,
        )
        super().__init__(
            self._view.children, layout={"width": "100%", "min_width": "0", "overflow": "hidden"}
        )
        self.add_class("lrf-finder")
        self._picker = Picker(self._view, target, lambda: self._show(self._test))
        self._closed = False
        self._wire()
        self._show(self._test)
        take_over(self)

    def __repr__(self) -> str:
        test = self._test
        return f"LRFinder({test.state.value}, {len(test)} points, lr={self.lr})"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/plain": f"{self!r}\n{MISSING}"}  # shown by hosts without widgets

    # -- reading ----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the latest run is; ``State.READY`` before the first."""
        return self._test.state

    @property
    def reason(self) -> Reason | None:
        """Why the latest run ended, see `LossCurve`; `None` before that."""
        return self._test.reason

    @property
    def exception(self) -> BaseException | None:
        """What made the latest run fail, as it was raised."""
        return self._test.exception

    @property
    def curve(self) -> LossCurve:
        """The curve of the latest run, as far as it is."""
        return self._test.curve

    @property
    def curves(self) -> list[LossCurve]:
        """The curves of all runs, the latest last."""
        return [*self._earlier, self.curve] if len(self._test) else list(self._earlier)

    @property
    def suggestion(self) -> Suggestion:
        """What the latest curve suggests, or why it suggests nothing."""
        return self.curve.suggestion

    @property
    def lr(self) -> float | None:
        """The pick; `None` while there is none."""
        return self._picker.lr

    # -- steering ---------------------------------------------------------------------------------

    def start(self) -> LRFinder:
        """Run the test in the background and return itself, so as a last line it shows the chart.

        A run of another finder on the same model is stopped first, and its restore waited for.

        Raises
        ------
        RuntimeError
            If the test is running or paused, or the finder is closed.
        """
        with self._starting:
            if self._closed:
                raise RuntimeError("this LRFinder is closed; make a new one.")
            if self.state in (State.RUNNING, State.PAUSED):
                raise RuntimeError(f"the LR range test is {self.state.value}; call stop() first.")
            stop_others(self)
            opened = threading.Event()
            test = RangeTest(self._sweep.points(opened))
            with self._view.lock:
                self._earlier = self.curves
                self._test = test
                self._picker.begin()
            test.listen(self._show)
            test.start()
        # A loader starts its worker processes by fork, which wants the other threads at rest: this
        # one waits until that is done.
        opened.wait(_OPENED_S)
        return self

    def pause(self) -> None:
        """Halt after the step under way; the model stays as the test has made it.

        Raises
        ------
        RuntimeError
            If the test is not running.
        """
        self._test.pause()

    def resume(self) -> None:
        """Go on after a pause.

        Raises
        ------
        RuntimeError
            If the test is not paused.
        """
        self._test.resume()

    def stop(self) -> None:
        """End the test after the step under way, and return when everything is put back."""
        self._test.stop()
        self._test.join()

    def wait(self, timeout: float | None = None) -> LRFinder:
        """Wait until the test has ended and everything is put back.

        Raises
        ------
        RuntimeError
            If it was not started, or is paused: it would be waited for in vain.
        TimeoutError
            If it has not ended after `timeout` seconds; it goes on.
        BaseException
            What made the test fail, as your code raised it.
        """
        self._test.wait(timeout)
        return self

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

    def close(self) -> None:
        """Stop a run, wait until everything is put back, and let go of every widget."""
        if self._closed:
            return
        with self._starting:
            self.stop()
            self._closed = True
        forget(self)
        with self._view.lock:
            self._picker.close()
            self._view.close()
            self.layout.close()
            super().close()

    # Until the constructor is through: ipywidgets calls close() on what is collected.
    _closed = True

    # -- wiring -----------------------------------------------------------------------------------

    def _wire(self) -> None:
        controls, marker = self._view.controls, self._view.marker
        controls.start.on_click(self._guarded(self._click_start))
        controls.pause.on_click(self._guarded(self._click_pause))
        controls.use.on_click(self._guarded(lambda: self._picker.pick(marker.lr)))
        controls.number.observe(self._guarded(self._picker.read_number), "value")

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
        if self.state in (State.RUNNING, State.PAUSED):
            self._test.stop()
        else:
            self.start()

    def _click_pause(self) -> None:
        if self.state is State.PAUSED:
            self.resume()
        else:
            self.pause()

    def _show(self, test: RangeTest) -> None:
        """Draw what the run is now; called on any thread."""
        with self._view.lock:
            if self._closed or test is not self._test:
                return
            curve = test.curve
            suggestion = curve.suggestion if test.state.ended else None
            if suggestion is not None and self._offered is not test:
                self._offered = test
                if suggestion.lr is not None:
                    self._picker.offer(suggestion.lr)
            self._view.show(test, curve, suggestion, self._picker.problem)
