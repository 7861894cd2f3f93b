"""The norms of an optimizer's gradients, updates and weights, queued behind the step they are of.

They are computed where the weights are, and read as late as the loss, so the device never waits for
Python.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from .read_back import Sender, can_fly

OUTSIDE = "outside the model"
"""The name of whatever else the optimizer holds, such as parameters of a loss."""

Sent: TypeAlias = tuple[Callable[[], list[float]], NDArray[np.int64]]
"""Returns the norms of pieces of weights, of as many pieces of the update, and of the gradient; and
the first piece of each parameter."""

_PIECE = 2**18
"""The elements of a piece: on a CPU, large enough for its calls not to count, small enough for its
cache to hold what is computed with it again."""


class Read(NamedTuple):
    """The norms of a step, as read: float64, nan where they are unknown.

    Attributes
    ----------
    gradient : float
        Of all gradients together.
    weights, updates : ndarray, shape (n_modules,)
        Of the weights of each module before the step, and of what the step added to them.
    """

    gradient: float
    weights: NDArray[np.float64]
    updates: NDArray[np.float64]

    @property
    def step_size(self) -> float:
        """The norm of the whole update relative to that of all weights."""
        weights = math.hypot(*self.weights)
        return math.hypot(*self.updates) / weights if weights else math.nan


class Norms:
    """The norms of the parameters that an optimizer trains, step by step.

    Between `begin` and `end` a step is taken, during which `hear` is told of each update. It keeps
    a copy of these parameters.

    Parameters
    ----------
    model : torch.nn.Module
        Gives them the names of its modules; a shared parameter belongs to the first that has it.
    optimizer : torch.optim.Optimizer
        Holds them.

    Attributes
    ----------
    modules : tuple of str
        The modules with parameters that are trained.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self._groups = optimizer.param_groups
        names = _module_names(model)
        by_module: dict[str, dict[int, Tensor]] = defaultdict(dict)
        for group in self._groups:
            for p in group["params"]:
                if p.requires_grad:
                    by_module[names.get(id(p), OUTSIDE)][id(p)] = p
        self.modules = tuple(by_module)
        held = [p for parameters in by_module.values() for p in parameters.values()]
        counts = [len(parameters) for parameters in by_module.values()]
        self._starts = np.cumsum([0, *counts[:-1]])
        places: dict[torch.device, list[int]] = defaultdict(list)
        for i, p in enumerate(held):
            places[p.device].append(i)
        self._parts = [_Part(at, [held[i] for i in at]) for at in places.values()]
        self._count = len(held)

    def begin(self) -> None:
        """Note the weights before a step."""
        for part in self._parts:
            part.begin()

    def hear(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Note the gradients that an optimizer is given; those of the last update count.

        With a closure there are none yet, so they stay unknown.
        """
        if getattr(optimizer, "param_groups", None) is not self._groups:  # nor a wrapper of ours
            return
        closed = any(map(callable, (*args[1:], *kwargs.values())))
        scale = getattr(optimizer, "grad_scale", None)  # that it will divide by itself
        for part in self._parts:
            part.gradient = None if closed else part.norm_of_gradients(scale)

    def end(self, *, way_back: bool = False) -> list[Sent]:
        """Queue the norms of the step; return what `read` takes.

        Parameters
        ----------
        way_back : bool
            Whether `way_back` is needed.
        """
        return [part.end(way_back=way_back) for part in self._parts]

    def read(self, sent: list[Sent]) -> Read:
        """Return the norms of a step, waiting for them if necessary."""
        square, both = 0.0, np.full((2, self._count), math.nan)
        with np.errstate(over="ignore", invalid="ignore"):
            for part, (values, firsts) in zip(self._parts, sent, strict=True):
                *each, gradient = values()
                square += gradient * gradient
                if each:
                    squares = np.square(each).reshape(2, -1)
                    both[:, part.at] = np.add.reduceat(squares, firsts, axis=1)
            weights, updates = np.sqrt(np.add.reduceat(both, self._starts, axis=1))
        return Read(math.sqrt(square), weights, updates)

    @property
    def weights(self) -> list[Tensor]:
        """The parameters as plain tensors that share their memory."""
        return [tensor for part in self._parts for tensor in part.now()]

    @property
    def way_back(self) -> list[Tensor]:
        """After `end(way_back=True)`: the weights before the step less those after it."""
        return [tensor for part in self._parts for tensor in part.kept]

    def forget(self) -> None:
        """Drop the copy."""
        for part in self._parts:
            part.forget()


class _Part:
    """The parameters on one device, and their places among all."""

    def __init__(self, at: list[int], parameters: list[Tensor]) -> None:
        self.at = at
        self.kept: list[Tensor] = []  # the weights before a step
        self.gradient: Tensor | None = None
        self._is_noted = False  # those before the next step
        self._parameters = parameters
        self._send = Sender()
        self._device = parameters[0].device
        self._pieces: list[tuple[Tensor, Tensor]] = []  # of what is kept, and room for their update
        self._firsts = self._ones = np.arange(len(parameters))
        precise = any(p.dtype in (torch.float64, torch.complex128) for p in parameters)
        self._dtype = torch.float64 if precise else torch.float32

    def now(self) -> list[Tensor]:
        return [_real(p.detach()) for p in self._parameters]

    def begin(self) -> None:
        self.gradient = None
        if self._is_noted:
            return
        if any(isinstance(p, UninitializedParameter) for p in self._parameters):
            self.kept = []  # there are no weights yet
            return
        now = self.now()
        if not self._fits(now):
            self.kept = _like(now)
            self._divide()
        torch._foreach_copy_(self.kept, now)

    def _fits(self, now: list[Tensor]) -> bool:
        return [tensor.shape for tensor in self.kept] == [tensor.shape for tensor in now]

    def _divide(self) -> None:
        """Divide what is kept into pieces, if that is how their norms are computed sooner."""
        self._pieces = []
        kinds, size = {tensor.dtype for tensor in self.kept}, sum(t.numel() for t in self.kept)
        small = size < 4 * _PIECE or len(kinds) > 1 or self._device.type != "cpu"
        if small or not all(t.is_contiguous() and t.numel() for t in self.kept):
            return
        pieces = [_pieces(tensor) for tensor in self.kept]
        self._firsts = np.cumsum([0, *map(len, pieces[:-1])])
        room = torch.empty(_PIECE, dtype=kinds.pop(), device=self._device)
        self._pieces = [(piece, room[: len(piece)]) for of_one in pieces for piece in of_one]

    def norm_of_gradients(self, scale: Any) -> Tensor:
        grads = [p.grad for p in self._parameters if p.grad is not None]
        if not grads:
            return torch.zeros((), dtype=self._dtype, device=self._device)
        norms = self._norms(list(map(_dense, grads)))
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm / scale.to(norm.device) if isinstance(scale, Tensor) else norm

    def end(self, *, way_back: bool) -> Sent:
        gradient, firsts = self.gradient, self._ones
        if gradient is None:
            gradient = torch.full((), math.nan, dtype=self._dtype, device=self._device)
        now, norms = self.now(), list[Tensor]()
        if not self._fits(now):  # a step that changes shapes has no update
            self.forget()
        self._is_noted = bool(self._pieces) and not way_back and all(t.is_contiguous() for t in now)
        if self._is_noted:
            norms, firsts = self._in_pieces(now), self._firsts
        elif self.kept:
            norms = self._norms(self.kept)
            torch._foreach_sub_(self.kept, now)
            norms += self._norms(self.kept)
        vector = torch.stack([*norms, gradient.to(self._dtype)])
        return (self._send(vector).values if can_fly(vector) else vector.tolist), firsts

    def _in_pieces(self, now: list[Tensor]) -> list[Tensor]:
        """Return the norms, and note the weights for the next step."""
        weights, updates = [], []
        pieces = (piece for tensor in now for piece in _pieces(tensor))
        for (before, update), after in zip(self._pieces, pieces, strict=True):
            weights.append(torch.linalg.vector_norm(before, dtype=self._dtype))
            torch.sub(before, after, out=update)
            updates.append(torch.linalg.vector_norm(update, dtype=self._dtype))
            before.copy_(after)
        return weights + updates

    def forget(self) -> None:
        self.kept, self._pieces, self._is_noted = [], [], False

    def _norms(self, tensors: list[Tensor]) -> list[Tensor]:
        return list(torch._foreach_norm(tensors, 2, self._dtype))


def _pieces(tensor: Tensor) -> tuple[Tensor, ...]:
    pieces: tuple[Tensor, ...] = torch.split(tensor.view(-1), _PIECE)
    return pieces


def _like(tensors: list[Tensor]) -> list[Tensor]:
    try:
        return [torch.empty_like(tensor) for tensor in tensors]
    except torch.OutOfMemoryError as error:
        error.add_note("diagnose=True keeps a copy of all weights that are trained.")
        raise


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _dense(grad: Tensor) -> Tensor:
    grad = grad.detach()
    return grad.coalesce().values() if grad.is_sparse else _real(grad)


def _module_names(model: nn.Module) -> dict[int, str]:
    """Return the names of the modules that parameters belong to, by the parameters' ids."""
    found = {}
    for name, parameter in model.named_parameters():
        module = name.replace("_orig_mod.", "").rpartition(".")[0]  # of torch.compile
        found[id(parameter)] = module or type(model).__name__
    return found
