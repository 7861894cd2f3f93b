"""The textbook training step: forward, loss, backward, update, with the usual variations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.plan import check_count
from lrfinder_widget.restore.uses import MadeOfParts

from .misfits import (
    MISSING,
    Returned,
    batch_misfit,
    check_calls,
    explain_criterion,
    explain_loss,
    explain_mapping,
)
from .thread_state import accelerator_kind


def training_step(
    model: nn.Module,
    optimizer: Optimizer,
    criterion: Callable[..., Tensor] | None = None,
    *,
    accumulate: int = 1,
    autocast: torch.dtype | None = None,
    scaler: Any = None,
    clip_grad_norm: float | None = None,
) -> TrainingStep:
    """Create the textbook training step, to be passed as ``step=`` or called in your own loop.

    A factory: it trains nothing itself, but returns a function that trains one step.

    Parameters
    ----------
    model, optimizer, criterion
        As for `sweep`.
    accumulate : int, default 1
        Number of micro-batches per optimizer step. If it is more than one, the step takes a list
        of that many batches, and a sweep passes it one.
    autocast : torch.dtype, optional
        Run the forward pass and the loss under `torch.autocast` with this dtype.
    scaler : torch.amp.GradScaler, optional
        Scales the loss; a sweep puts its state back.
    clip_grad_norm : float, optional
        Maximum norm of all gradients together, which are clipped to it.

    Returns
    -------
    callable
        ``step(batch) -> loss``, where the loss is a detached tensor with one element: that before
        the update, the mean over the micro-batches if there are several.

    Raises
    ------
    ValueError
        If `accumulate` is not a whole number of at least 1, or if `scaler` or `clip_grad_norm` is
        given with LBFGS.
    TypeError
        If `model` or `criterion` cannot be called in this way. The step itself raises it for a
        batch, an output or a loss that does not fit.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> step = training_step(model, optimizer, nn.MSELoss(), clip_grad_norm=1.0)
    >>> step((torch.randn(8, 3), torch.randn(8, 1))).shape
    torch.Size([])
    """
    return TrainingStep(
        model,
        optimizer,
        criterion,
        accumulate=accumulate,
        autocast=autocast,
        scaler=scaler,
        clip_grad_norm=clip_grad_norm,
    )


class TrainingStep(MadeOfParts):
    """The textbook step; made by `training_step`.

    Attributes
    ----------
    criterion : callable or None
        As given.
    watch : callable or None
        Told the output of each forward pass, detached if it is a tensor, and the target, once the
        loss is computed; the whole batch in place of the target if there is no criterion.
    """

    watch: Callable[[Any, Any], object] | None = None

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        criterion: Callable[..., Tensor] | None,
        *,
        accumulate: int = 1,
        autocast: torch.dtype | None = None,
        scaler: Any = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        self.accumulate = check_count("accumulate", accumulate, at_least=1)
        zero_grad = getattr(optimizer.zero_grad, "__func__", None)
        self._has_usual_zero_grad = zero_grad is Optimizer.zero_grad
        self._needs_closure = isinstance(optimizer, torch.optim.LBFGS)
        if self._needs_closure and (scaler or clip_grad_norm is not None):
            raise ValueError(
                "LBFGS evaluates the true gradients several times per step, so it supports "
                "neither scaler nor clip_grad_norm."
            )
        if criterion is not None:
            check_calls(model, criterion)
        self.parts = [model, optimizer, criterion, scaler]
        self._model = model
        self._optimizer = optimizer
        self.criterion = criterion
        self._autocast = autocast
        self._scaler = scaler
        self._clip_grad_norm = clip_grad_norm
        self._accelerator = accelerator_kind()

    def __call__(self, batch: Any) -> Any:
        """Train on one batch, or on a list of `accumulate` batches; return the (mean) loss."""
        if self._needs_closure:
            return self._closure_step(batch)
        loss = self._gradients(batch)
        if self._scaler is None and self._clip_grad_norm is None:
            self._optimizer.step()
        else:
            self._clip_and_update()
        return loss

    def _closure_step(self, batch: Any) -> Tensor:
        losses: list[Tensor] = []

        def closure() -> Tensor:
            torch.clear_autocast_cache()  # the weights have changed since the previous call
            losses.append(self._gradients(batch))
            return losses[-1]

        step: Callable[..., Any] = self._optimizer.step
        step(closure)
        return losses[0]  # of several calls; the first loss is that before the update

    def _gradients(self, batch: Any) -> Tensor:
        if self._has_usual_zero_grad:
            # Without its profiler label, which takes longer than everything else.
            for group in self._optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None
        else:
            self._optimizer.zero_grad()
        if self.accumulate == 1:
            return self._backward(batch)
        return torch.stack([self._backward(part) for part in batch]).sum()

    def _backward(self, batch: Any) -> Tensor:
        loss = self._forward(batch) if self._autocast is None else self._loss(batch)
        try:  # which costs nothing, unlike a look at each loss
            if self.accumulate > 1:
                loss = loss / self.accumulate
            scaled = loss if self._scaler is None else self._scaler.scale(loss)
            scaled.backward()
            return loss.detach()
        except Exception as error:
            explain_loss(error, loss, self.criterion, batch)
            raise

    def _clip_and_update(self) -> None:
        if self._scaler is None:
            self._clip()
            self._optimizer.step()
            return
        if self._clip_grad_norm is not None:
            self._scaler.unscale_(self._optimizer)  # the true gradients are to be clipped
            self._clip()
        self._scaler.step(self._optimizer)
        self._scaler.update()

    def _clip(self) -> None:
        assert self._clip_grad_norm is not None
        nn.utils.clip_grad_norm_(self._model.parameters(), self._clip_grad_norm)

    def _loss(self, batch: Any) -> Tensor:
        if self._autocast is None:
            return self._forward(batch)
        kind = model_device(self._model).type
        with torch.autocast(kind, dtype=self._autocast):
            if kind != "cpu" or self._accelerator is None:
                loss = self._forward(batch)
            else:  # the rest of the model may be there
                with torch.autocast(self._accelerator, dtype=self._autocast):
                    loss = self._forward(batch)
        return loss

    def _forward(self, batch: Any) -> Tensor:
        # An exception is explained from the output's description, and the output is dropped: a
        # kept traceback must not keep it.
        criterion, output = self.criterion, MISSING
        loss: Tensor
        if criterion is not None and isinstance(batch, (tuple, list)) and len(batch) >= 2:
            try:
                output = self._model(batch[0])
                loss = criterion(output, batch[1])
            except Exception as error:
                returned, output = Returned.of(output), None
                explain_criterion(error, criterion, batch, returned)
                raise
        elif criterion is None and isinstance(batch, Mapping):
            try:
                output = self._model(**batch)
                loss = output["loss"] if isinstance(output, Mapping) else output.loss
            except Exception as error:
                returned, output = Returned.of(output), None
                explain_mapping(error, self._model, batch, returned)
                raise
        else:
            raise TypeError(batch_misfit(criterion, batch))
        if self.watch is not None:
            output = output.detach() if isinstance(output, Tensor) else output
            try:
                self.watch(output, batch if criterion is None else batch[1])
            except BaseException:
                del loss, output
                raise
        return loss

    def loss(self, batches: Sequence[Any]) -> Tensor:
        """Return the mean loss over `batches` as in training, but without training."""
        with torch.no_grad():
            loss = torch.stack([self._loss(batch) for batch in batches]).mean()
        return loss  # noqa: RET504 - as in `validate`

    def validate(self, batches: Sequence[Any]) -> Tensor:
        """Return the mean loss over `batches` in eval mode and without gradients."""
        flags = [(module, module.training) for module in self._model.modules()]
        self._model.eval()
        try:
            torch.clear_autocast_cache()  # the last step has changed the weights
            with torch.no_grad():
                loss = torch.stack([self._loss(batch) for batch in batches]).mean()
            return loss  # noqa: RET504 - a return in the block could let an interrupt skip its end
        finally:
            for module, training in flags:  # parents come first
                if module.training != training:
                    module.train(training)  # some layers undo here what they did in eval()
                    module.training = training


def model_device(model: nn.Module) -> torch.device:
    """Return the device of the model's first parameter or buffer; the CPU if it has none."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")
