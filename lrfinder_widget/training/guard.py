"""Keeps other threads off a model in the middle of an LR range test.

A next cell that trains, or saves, a half-tested model would do harm that nobody sees. Best effort:
it covers the object that was handed over, not each of its submodules.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from threading import get_ident
from typing import Any

import torch
from torch import nn
from torch.compiler import is_compiling
from torch.optim import Optimizer

MESSAGE = (
    "an LR range test is training this {what} in the background, so its values are temporary. "
    "Call the finder's wait() or stop() first."
)


_HOOKS = (
    "_forward_pre_hooks",
    "_state_dict_pre_hooks",
    "_optimizer_step_pre_hooks",
    "_optimizer_state_dict_pre_hooks",
)


@contextmanager
def guarded(model: nn.Module, optimizers: Iterable[Optimizer]) -> Iterator[Guard]:
    """Put a guard on the model and the optimizers, and take it off again."""
    guard = Guard()
    # The compiler leaves this one as it is: a compiled step, and a model that is compiled in place,
    # whose hooks it takes for functions of their own, are guarded, too.
    check: Any = torch.compiler.disable(guard.check, recursive=False)  # type: ignore[no-untyped-call]
    things: list[Any] = [*_layers(model), *_with_inner(optimizers)]
    guard.guarded += things
    try:
        for thing in things:
            if isinstance(thing, torch.jit.ScriptModule):  # it takes no Python hooks
                continue
            if isinstance(thing, nn.Module):
                in_place = getattr(thing, "_compiled_call_impl", None) is not None
                thing.register_forward_pre_hook(check if in_place else guard)
                thing.register_state_dict_pre_hook(guard)  # type: ignore[no-untyped-call]
            else:
                with suppress(AttributeError):  # not each that wraps another has the attributes
                    thing.register_step_pre_hook(check)
                    thing.register_state_dict_pre_hook(check)
        yield guard
    finally:
        guard.on = False
        try:
            _take_off(things, (guard, check))
        except KeyboardInterrupt:
            _take_off(things, (guard, check))
            raise


def _take_off(things: Iterable[Any], hooks: tuple[object, ...]) -> None:
    # Not by their handles: an interrupt may have come between a hook and its handle.
    for thing in things:
        for name in _HOOKS:
            held = getattr(thing, name, None) or {}
            for key in [key for key, hook in held.items() if any(hook is h for h in hooks)]:
                del held[key]


class Guard:
    """A hook that raises where another thread than the owner comes by.

    A class of its own, not a closure: a model that is copied or pickled meanwhile carries a hook
    that does nothing.
    """

    def __init__(self) -> None:
        self.on = True
        # With all that it calls; `check`, which is asked at each step, alone: that is cheaper.
        self._refuse: Any = torch.compiler.disable(self._look)  # type: ignore[no-untyped-call]
        self.owner = get_ident()
        self.guarded: list[object] = []

    def __call__(self, module: object, *_: Any) -> None:
        """Raise for another thread, but be nothing to the compiler.

        It cannot trace this, and a function that is compiled as one whole graph must stay one: a
        model compiled in place is guarded by its optimizer alone.
        """
        if not is_compiling() and get_ident() != self.owner:
            self.check(module)

    def check(self, guarded: object, *_: Any) -> None:
        """Raise for another thread.

        Raises
        ------
        RuntimeError
            If the caller is not the thread that runs the test.
        """
        if self.on and get_ident() != self.owner:
            self._refuse(guarded)

    def _look(self, guarded: object) -> None:
        if not any(guarded is one for one in self.guarded):  # a replica of data parallelism
            return
        if isinstance(threading.current_thread(), threading._DummyThread):
            return  # autograd's own thread, which recomputes what was checkpointed
        what = "optimizer" if isinstance(guarded, Optimizer) else "model"
        raise RuntimeError(MESSAGE.format(what=what))

    def __deepcopy__(self, memo: dict[int, Any]) -> Guard:
        return _no_guard()

    def __reduce__(self) -> tuple[Any, ...]:
        # A callable that does nothing, and that a process without this package can read.
        return getattr, (nullcontext(), "__exit__")


def _no_guard() -> Guard:
    guard = Guard()
    guard.on = False
    return guard


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    """Go from the model through its wrappers, of compilation and of parallelism, to the inner one.

    A graph that was compiled before does not call the hooks of the inner module, one that is
    compiled later does: both are guarded.
    """
    inner: Any = model
    while isinstance(inner, nn.Module):
        yield inner
        wraps = type(inner).__module__.startswith(("torch._dynamo", "torch.nn.parallel"))
        inner = (getattr(inner, "_orig_mod", None) or inner._modules.get("module")) if wraps else 0


def _with_inner(optimizers: Iterable[Optimizer]) -> Iterator[Optimizer]:
    """Go through the optimizers, and those that they wrap."""
    for optimizer in optimizers:
        yield optimizer
        yield from (inner for inner in vars(optimizer).values() if isinstance(inner, Optimizer))
