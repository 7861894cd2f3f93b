"""What a finder runs: where its points and its trial runs come from. No torch, no widgets.

The notebook's own model, a worker of a cluster, or any stream of points: the widget shows and
steers them all through `RunSource`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from lrfinder_widget.curve.budget import NO_BUDGET, Budget
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import RunPoints

from .ladder import Ladder
from .trial_runs import TrialRuns
from .varied_runs import Setting, Settings, VariedRuns


@dataclass(frozen=True)
class About:
    """What is known of a source, in plain values; all of it may be unknown.

    Attributes
    ----------
    summary : str
        What is trained, for a comment in code and as the name of a run.
    optimizer : str
        The optimizer's class, to name it on a button.
    several_rates : bool
        Whether its groups have different learning rates.
    tensor_rates : bool
        Whether one of these is a tensor, which is to be filled in place.
    device : str or None
        Where it trains.
    epoch_steps : int or None
        The optimizer steps of an epoch.
    budget : Budget
        What the optimizer and the model show of the training that a candidate is for.
    here : bool
        Whether it trains the notebook's own model, which must be left alone during a run.
    plan : SweepPlan or None
        The learning rates of the run, where the source says them and not the boxes of the page.
    open_ended : bool
        Whether nobody knows how many points there will be.
    settings : tuple of Setting
        What tests can be varied by, and what they cannot.
    """

    summary: str = ""
    optimizer: str = ""
    several_rates: bool = False
    tensor_rates: bool = False
    device: str | None = None
    epoch_steps: int | None = None
    budget: Budget = NO_BUDGET
    here: bool = False
    plan: SweepPlan | None = None
    open_ended: bool = False
    settings: tuple[Setting, ...] = ()

    @property
    def has_own_settings(self) -> bool:
        """Whether its learning rates are set elsewhere, so that the page's boxes do nothing."""
        return self.plan is not None or self.open_ended


class ThreadState(Protocol):
    """The state of a thread that a run is to have in another one."""

    def applied(self) -> AbstractContextManager[None]:
        """Apply it to the calling thread, inside the block."""


class NoThreadState:
    """What a source has that takes no step in this process."""

    def applied(self) -> AbstractContextManager[None]:
        """Return a block without effect."""
        return nullcontext()


class RunSource(Protocol):
    """Where the runs of a finder come from."""

    @property
    def about(self) -> About:
        """What is known now; it may become more while a run is going on."""

    @property
    def waiting(self) -> str:
        """What a run without points is waiting for, or what a start does; empty for the usual."""

    @property
    def cannot(self) -> Mapping[str, str]:
        """Why controls of the page cannot be used, by their names; see `sentences.blocked`."""

    @property
    def optimizer(self) -> Any:
        """What a pick is applied to by default; None if there is none in this process."""

    def parameters(self) -> list[Any]:
        """Return the tensors in this process that a run changes and puts back."""

    def thread_state(self) -> ThreadState:
        """Read the state of the calling thread, which a click is to have in another."""

    def ladder(self) -> Ladder | None:
        """Return what to try where a curve shows no candidate, if that is known."""

    def begin(self, plan: SweepPlan, opened: threading.Event) -> RunPoints:
        """Create a run; it starts when the first of its items is requested, in any thread.

        Parameters
        ----------
        plan : SweepPlan
            Its learning rates.
        opened : threading.Event
            Set once the start need not be waited for any more, and at the end in any case.

        Returns
        -------
        RunPoints
            An `Item` after another; None stands for nothing new.

        Raises
        ------
        RuntimeError, ValueError
            If it cannot run; then nothing has been touched.
        """

    def begin_trials(
        self, lrs: Any, steps: int, *, held_out: Sequence[Any] | None = None, evaluate: Any = None
    ) -> tuple[TrialRuns, RunPoints]:
        """Create trial runs; they start when the first of their points is requested.

        Returns
        -------
        (TrialRuns, RunPoints)
            What they show so far, and their points: ``(lr, loss)``, or a single number for a loss
            at the starting weights; None stands for nothing new.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            If they cannot run, or for invalid arguments.
        """

    def begin_variation(
        self, settings: Settings, plan: SweepPlan, planned: Budget, **makes: Any
    ) -> tuple[VariedRuns, RunPoints]:
        """Create tests with other settings varied; they start when a point is requested.

        Parameters
        ----------
        settings : mapping of str to sequence
            The values of each setting, see `check_settings`.
        plan, planned
            The learning rates of each test, and the training that the candidates are for.
        **makes
            ``optimizers``, a function for each by its name, and ``make_batches``, as for `vary`.

        Returns
        -------
        (VariedRuns, RunPoints)
            What they show so far, and their points ``(lr, loss)``; None stands for nothing new.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            If they cannot run, or for invalid arguments; then nothing has been touched.
        """

    def release(self) -> None:
        """Let go of all that is trained; nothing is begun any more."""
