"""The critical learning rate: from which on a step along an update raises the loss of its batch.

Kalra et al., arXiv:2601.16979. It is found by forward passes alone, on the way that a step has
taken, and everything that they change is put back. Nothing is to be trained with it: tuners that
follow it do worse than a constant rate (Roulet et al., arXiv:2407.06183).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import torch
from torch import Tensor

from lrfinder_widget.restore.contents import Restore
from lrfinder_widget.restore.random_state import random_states
from lrfinder_widget.restore.snapshot import Snapshot

CLOSE = 2.0
"""The ratio of the two passes between which it lies when the search ends, at most."""
MOST_PASSES = 24

Noted: TypeAlias = tuple[Any, list[Restore]]


class CriticalLR:
    """Searches the critical learning rate of single steps.

    Parameters
    ----------
    loss_of : callable or None
        Returns the loss of what a step trains on, without training; None if that is unknown. Then
        nothing is searched.
    state : callable
        Returns a copy of the weights and of all else that a forward pass changes.
    """

    def __init__(
        self, loss_of: Callable[[Any], Tensor] | None, state: Callable[[], Snapshot]
    ) -> None:
        self._loss_of = loss_of
        self._state = state
        self._last = math.nan  # found

    def note(self, batch: Any) -> Noted | None:
        """Copy what a step is about to use: its batch, and the random state of its masks.

        None if that is impossible, or a search has failed before.
        """
        if self._loss_of is None:
            return None
        try:
            return copy.deepcopy(batch), random_states()
        except Exception:  # noqa: BLE001 - not everything can be copied
            return None

    def find(self, noted: Noted, weights: list[Tensor], way_back: list[Tensor], lr: float) -> float:
        """Return the critical learning rate of the step that has been taken; nan if it has none.

        Parameters
        ----------
        noted : tuple
            What `note` has returned before the step.
        weights, way_back : list of Tensor
            The weights after the step, and what to add to them to undo it.
        lr : float
            The learning rate of the step.
        """
        batch, random = noted
        loss_of, there, found = self._loss_of, list[Tensor](), math.nan
        state: Snapshot | None = None
        assert loss_of is not None
        with suppress(Exception):  # whatever a copy of the user's objects raises
            state = self._state()
        if state is None or not state.is_beside:  # there is no room
            self._loss_of = None
            return found

        def loss_at(factor: float) -> float:
            """Return the loss after a step of another size."""
            torch._foreach_copy_(weights, there)
            torch._foreach_add_(weights, way_back, alpha=1 - factor)
            torch.clear_autocast_cache()
            for put_back in random:  # the same masks each time
                put_back()
            return float(loss_of(batch))

        try:
            there += [tensor.clone() for tensor in weights]
            found = lr * crossing(loss_at, 1.0 if math.isnan(self._last) else self._last / lr)
        except Exception:  # noqa: BLE001 - whatever the user's code raises without gradients
            self._loss_of = None
        finally:
            if there:  # the optimizer may hold some that are in no module
                torch._foreach_copy_(weights, there)
            state.restore()
            del state  # a kept traceback must not keep copies of the model
            there.clear()
            way_back.clear()
        if math.isfinite(found):
            self._last = found
        return found


def crossing(loss_at: Callable[[float], float], guess: float) -> float:
    """Return the factor on a step from which on the loss is above that before the step.

    From a guess, in steps that grow, to where the loss rises or does no more, and by halves until
    these two are close. Between them it is where a parabola through both and the start crosses. nan
    if that is not found in a few passes, or if the loss falls nowhere before.

    Parameters
    ----------
    loss_at : callable
        Returns the loss after a step of that size; 0 is no step, 1 is the one that was taken.
    guess : float
        Where to begin.
    """
    start = loss_at(0.0)
    if not math.isfinite(start):
        return math.nan
    here, by, passes = guess, 2.0, 2
    before = loss_at(here)
    rises = not before <= start
    while True:
        there = here / by if rises else here * by
        if passes >= MOST_PASSES or not 0 < there < math.inf:
            return math.nan
        loss, passes = loss_at(there), passes + 1
        if (not loss <= start) != rises:
            break
        here, before, by = there, loss, min(by * by, 256.0)
    (low, lower), (high, higher) = sorted([(here, before), (there, loss)])
    while high / low > CLOSE and passes < MOST_PASSES:
        middle = math.sqrt(low * high)
        loss, passes = loss_at(middle), passes + 1
        if loss <= start:
            low, lower = middle, loss
        else:
            high, higher = middle, loss
    # Close to no step at all, the loss is the same but for rounding: then nothing has been found.
    least = start - 4 * torch.finfo(torch.float32).eps * abs(start)
    if lower >= least and loss_at(low / 2) >= least:
        return math.nan
    if not math.isfinite(higher):
        return math.sqrt(low * high)
    falls, rise = (lower - start) / low, (higher - start) / high
    return low + (high - low) * falls / (falls - rise)
