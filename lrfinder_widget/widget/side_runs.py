"""What a finder runs beside its test: trial runs, and tests with other settings varied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from lrfinder_widget.curve.comparison import Comparison
from lrfinder_widget.curve.variation import Variation
from lrfinder_widget.runs.varied_runs import check_settings
from lrfinder_widget.training.held_out import Evaluate, Rates
from lrfinder_widget.training.variants import Make, MakeBatches, named

from .presenter import Presenter
from .session import Session
from .takeover import starting, stop_others


class SideRuns:
    """The methods of `LRFinder` that try something in the background, and what came out."""

    _session: Session
    _presenter: Presenter

    @property
    def comparison(self) -> Comparison | None:
        """The results of the latest trial runs so far; `None` before the first."""
        return self._session.comparison

    @property
    def variation(self) -> Variation | None:
        """The curves of the latest `vary` that are complete; `None` before the first."""
        varied = self._session.varied
        return None if varied is None else varied.variation

    def compare(
        self,
        lrs: Rates | None = None,
        steps: int = 200,
        *,
        held_out: Sequence[Any] | None = None,
        evaluate: Evaluate | None = None,
    ) -> Self:
        """Try a few learning rates in the background, as `lrfinder_widget.compare` does.

        Parameters
        ----------
        lrs : iterable of float, or "ladder", optional
            By default those around the candidate of the latest curve; the ladder if it has none, or
            if the model was trained before.
        steps, held_out, evaluate : optional
            As there, but with 200 steps by default.
        """
        return self._launch(
            lambda: self._session.begin_trials(lrs, steps, held_out=held_out, evaluate=evaluate),
            self._presenter.show_trials,
        )

    def vary(
        self,
        *,
        weight_decay: Sequence[float] | None = None,
        momentum: Sequence[float] | None = None,
        batch_size: Sequence[int] | None = None,
        optimizers: Mapping[str, Make] | Sequence[Make] | None = None,
        make_batches: MakeBatches | None = None,
    ) -> Self:
        """Run the test for each value of one or two other settings, in the background.

        As `lrfinder_widget.vary` does, with the range and the number of points in the set-up boxes.
        Stop keeps the tests that are complete. The result is `variation`.

        Parameters
        ----------
        weight_decay, momentum, batch_size, optimizers, make_batches : optional
            As there.

        Raises
        ------
        RuntimeError
            If something is running, or the finder is closed.
        TypeError, ValueError
            For invalid arguments; nothing starts.
        """
        makes = named(optimizers)
        settings = check_settings(
            weight_decay=weight_decay, momentum=momentum, batch_size=batch_size, optimizer=makes
        )
        given = {"optimizers": makes, "make_batches": make_batches}
        return self._launch(
            lambda: self._presenter.begin_variation(settings, **given),
            self._presenter.show_variation,
        )

    def _launch(self, begin: Callable[[], Any], show: Callable[[Any], object]) -> Self:
        self._session.check_idle()
        with starting:
            stop_others(self)  # type: ignore[arg-type]
            self._session.launch(begin(), show)
        return self
