"""Keeps other threads away from a model during an LR range test.

If the next cell trained or saved the model in the middle of a test, the damage would go unnoticed.
The guard is best effort: it covers the object that was passed in, not each of its submodules.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import takewhile
from threading import get_ident
from typing import Any

import torch
from torch import nn
from torch.compiler import is_compiling
from torch.optim import Optimizer

MESSAGE = "an LR range test is training this {what} {where}, so its values are temporary. {todo}"
_IN_BACKGROUND = {"where": "in the background", "todo": "Call the finder's wait() or stop() first."}
_IN_FOREGROUND = {"where": "in the foreground", "todo": "Wait until it has ended."}

_HOOKS = (
    "_forward_pre_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_optimizer_step_pre_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_load_state_dict_pre_hooks",
)


_guards: list[Guard] = []
"""Those of all runs in progress, in the order in which they began."""


@contextmanager
def guarded(model: nn.Module, optimizers: Iterable[Optimizer]) -> Iterator[Guard]:
    """Guard the model and the optimizers inside the block.

    Raises
    ------
    RuntimeError
        If a run of another thread guards one of them. Nothing has been touched then.
    """
    guard = Guard()
    # The compiler does not trace into this one. So a compiled step is guarded too, and so is a
    # model compiled in place, whose hooks the compiler treats as functions of their own.
    check: Any = torch.compiler.disable(guard.check, recursive=False)  # type: ignore[no-untyped-call]
    things: list[Any] = [*_layers(model), *_with_inner(optimizers)]
    guard.guarded += things
    try:
        _guards.append(guard)  # before it looks, so that of two runs at once the later is refused
        guard.check_alone()
        for thing in things:
            if isinstance(thing, torch.jit.ScriptModule):  # it takes no Python hooks
                continue
            if isinstance(thing, nn.Module):
                in_place = getattr(thing, "_compiled_call_impl", None) is not None
                # First: a sharded module's own would take its weights from under the run.
                thing.register_forward_pre_hook(check if in_place else guard, prepend=True)
                handle: Any = thing.register_state_dict_pre_hook(guard)  # type: ignore[no-untyped-call]
                hooks: Any = thing._state_dict_pre_hooks
                hooks.move_to_end(handle.id, last=False)
                handle = thing.register_load_state_dict_pre_hook(guard)  # type: ignore[no-untyped-call]
                hooks = thing._load_state_dict_pre_hooks
                hooks.move_to_end(handle.id, last=False)
            else:
                with suppress(AttributeError):  # some that wrap another lack the attributes
                    thing.register_step_pre_hook(check)
                    thing.register_state_dict_pre_hook(check)
                    thing.register_load_state_dict_pre_hook(check, prepend=True)
        yield guard
    finally:
        guard.on = False
        try:
            _take_off(things, (guard, check))
        except KeyboardInterrupt:
            _take_off(things, (guard, check))
            raise


def _take_off(things: Iterable[Any], hooks: tuple[Any, ...]) -> None:
    with suppress(ValueError):  # it has been taken off before
        _guards.remove(hooks[0])
    # Not by their handles: an interrupt may have come after a hook was set, before its handle was
    # returned.
    for thing in things:
        for name in _HOOKS:
            registered = getattr(thing, name, None) or {}
            # Where torch passes the module to a hook, it has wrapped the hook.
            own = {key: getattr(hook, "hook", hook) for key, hook in registered.items()}
            for key in [key for key, hook in own.items() if any(hook is h for h in hooks)]:
                del registered[key]


class Guard:
    """A hook that raises if any thread but the owner calls it.

    It is a class, not a closure, so that a copy or a pickle of the model taken during the test
    carries a hook that does nothing.

    Attributes
    ----------
    before_update : callable or None
        Called as ``before_update(optimizer, args, kwargs)`` before each call of an optimizer's
        ``step``, by the owner.
    on_update : callable or None
        Called likewise, and last.
    """

    def __init__(self) -> None:
        self.on = True
        self.before_update: Callable[[Any, Any, Any], object] | None = None
        self.on_update: Callable[[Any, Any, Any], object] | None = None
        # Disabled with everything it calls. `check` is called at each step, so it is disabled by
        # itself, which is cheaper.
        self._refuse: Any = torch.compiler.disable(self._look)  # type: ignore[no-untyped-call]
        self.owner = get_ident()
        self.guarded: list[object] = []

    def check_alone(self) -> None:
        """Raise if a run of another thread that began earlier guards one of the same things.

        Its hooks would tell, too, but too late: what this run copied meanwhile, to put it back at
        its end, would be the other run's.

        Raises
        ------
        RuntimeError
            If there is one.
        """
        for other in takewhile(lambda one: one is not self, list(_guards)):
            if other.owner != self.owner:
                for thing in self.guarded:
                    other.check(thing)

    def __call__(self, module: object, *_: Any) -> None:
        """Raise if another thread calls it, but do nothing while the compiler traces it.

        The compiler cannot trace the check, and a function compiled as one whole graph must stay
        one, so a model compiled in place is guarded by its optimizer alone.
        """
        if not is_compiling() and get_ident() != self.owner:
            self.check(module)

    def check(self, guarded: object, *call: Any) -> None:
        """Raise if another thread calls it; else tell of the call, if it is one of an optimizer.

        Raises
        ------
        RuntimeError
            If the calling thread is not the one that runs the test.
        """
        if self.on and get_ident() != self.owner:
            self._refuse(guarded)
        elif len(call) == 2:
            if self.before_update is not None:
                self.before_update(guarded, *call)
            if self.on_update is not None:
                self.on_update(guarded, *call)

    def _look(self, guarded: object) -> None:
        if not any(guarded is thing for thing in self.guarded):  # a replica of data parallelism
            return
        if isinstance(threading.current_thread(), threading._DummyThread):
            return  # autograd's own thread, recomputing checkpointed activations
        what = "optimizer" if isinstance(guarded, Optimizer) else "model"
        is_main = self.owner == threading.main_thread().ident
        running = _IN_FOREGROUND if is_main else _IN_BACKGROUND
        raise RuntimeError(MESSAGE.format(what=what, **running))

    def __deepcopy__(self, memo: dict[int, Any]) -> Guard:
        return _no_guard()

    def __reduce__(self) -> tuple[Any, ...]:
        # A callable that does nothing, and that can be unpickled without this package.
        return getattr, (nullcontext(), "__exit__")


def _no_guard() -> Guard:
    guard = Guard()
    guard.on = False
    return guard


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the model and, through wrappers of compilation and parallelism, what they wrap.

    A graph compiled before does not call the hooks of the inner module, one compiled later does, so
    both modules are guarded.
    """
    inner: Any = model
    while isinstance(inner, nn.Module):
        yield inner
        wraps = type(inner).__module__.startswith(("torch._dynamo", "torch.nn.parallel"))
        inner = (getattr(inner, "_orig_mod", None) or inner._modules.get("module")) if wraps else 0


def _with_inner(optimizers: Iterable[Optimizer]) -> Iterator[Optimizer]:
    """Yield the optimizers, and those that they wrap."""
    for optimizer in optimizers:
        yield optimizer
        yield from (inner for inner in vars(optimizer).values() if isinstance(inner, Optimizer))
