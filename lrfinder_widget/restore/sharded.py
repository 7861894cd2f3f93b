"""Parameters that torch's ``fully_shard`` (FSDP2) has spread over several processes.

For a pass, FSDP2 puts whole parameters in the place of a module's shards, and leaves them there
until the backward pass: those of the root after a forward pass alone, and any after an exception.
What is written into the shards meanwhile is not seen, as the next pass finds whole parameters and
gathers none. So before shards are read or written, they are put in their place again. This needs
no other process: each puts back what it has.

Nothing is imported here: whoever has sharded a model has done so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn

_FSDP = "torch.distributed.fsdp"
_USED = {  # of torch's own, by the attribute of the kind before
    "state": ("_state_ctx", "_fsdp_param_groups", "_modules", "_is_root"),
    "group": (
        "fsdp_params",
        "_partial_reduce_output",
        "_module_to_pre_save_state_dict_hook_handle",
        "_module_to_pre_load_state_dict_hook_handle",
    ),
    "parameter": ("sharded_param", "unsharded_accumulated_grad"),
}


def is_sharded(module: nn.Module) -> bool:
    """Return whether ``fully_shard`` was applied to this very module."""
    kind = getattr(sys.modules.get(_FSDP), "FSDPModule", None)
    return kind is not None and isinstance(module, kind)


def check_sharded(model: nn.Module) -> None:
    """Reject a model that is sharded in a way that cannot be undone.

    Raises
    ------
    TypeError
        If a module is one of FSDP1, or of FSDP2 in a version of torch that cannot reset it.
    """
    if _FSDP not in sys.modules:
        return
    for module in model.modules():
        check_module(module)


def check_module(module: nn.Module) -> None:
    """Reject a single module likewise."""
    first = getattr(sys.modules.get(_FSDP), "FullyShardedDataParallel", None)
    if first is not None and isinstance(module, first):
        raise TypeError(
            "a model that is sharded by FullyShardedDataParallel (FSDP1) is not supported, as its "
            "flat parameters cannot be put back. Shard it with torch.distributed.fsdp.fully_shard "
            "(FSDP2), run the LR range test with DistributedDataParallel, or run it in a single "
            "process before the model is sharded."
        )
    if is_sharded(module) and not _is_known(module):
        raise TypeError(
            "a model that is sharded by fully_shard (FSDP2) needs a version of torch in which it "
            "can be reset after an exception, and whose shards are kept as in torch 2.13; this one "
            "is other. Use torch 2.13, run the LR range test with DistributedDataParallel, or run "
            "it in a single process before the model is sharded."
        )


def _is_known(module: Any) -> bool:
    if not hasattr(module, "reset_iter_state") or not hasattr(module, "_get_fsdp_state"):
        return False
    state = module._get_fsdp_state()
    groups: list[Any] = list(getattr(state, "_fsdp_param_groups", ()))
    parameters = [p for group in groups for p in getattr(group, "fsdp_params", ())]
    return (
        _has(state, "state")
        and all(_has(group, "group") for group in groups)
        and all(_has(p, "parameter") and hasattr(type(p), "unsharded_param") for p in parameters)
    )


def _has(thing: Any, kind: str) -> bool:
    return all(hasattr(thing, name) for name in _USED[kind])


def shards_of(model: nn.Module) -> list[Tensor]:
    """Return the shards of a model's parameters, also where whole parameters are in their place."""
    return [p.sharded_param for m in model.modules() for g in _groups(m) for p in g.fsdp_params]


def _groups(module: Any) -> list[Any]:
    return module._get_fsdp_state()._fsdp_param_groups if is_sharded(module) else []


class Shards:
    """The sharded modules among what a snapshot looks at, and what FSDP2 keeps of them itself.

    Those are flags, and gradients that have not been reduced yet: a user may accumulate them
    without communication.
    """

    def __init__(self) -> None:
        self._states: dict[int, Any] = {}
        self._flags: list[tuple[Any, dict[str, bool]]] = []
        self._grads: dict[int, Tensor] = {}  # by the id of the whole parameter
        self._kept: list[tuple[Any, str, Any]] = []  # object, attribute, value
        self._hooks: dict[tuple[int, int], tuple[Any, int, Any]] = {}

    def add(self, module: Any) -> None:
        """Put the shards of a module, if it has any, in their place; changes nothing else.

        Raises
        ------
        TypeError
            If they cannot be put back later.
        """
        if _FSDP not in sys.modules:
            return
        check_module(module)
        if not is_sharded(module):
            return
        state = module._get_fsdp_state()
        root = _root_of(state)
        states = [state] if root is None else root._state_ctx.all_states
        new = [each for each in states if id(each) not in self._states]
        if not new:
            return
        self._states.update((id(each), each) for each in new)
        kept = []
        for each in new:
            self._flags.append((each._state_ctx, _flags_of(each._state_ctx)))
            for group in each._fsdp_param_groups:
                self._flags.append((group, _flags_of(group)))
                kept.append((group, "_partial_reduce_output", group._partial_reduce_output))
                for parameter in group.fsdp_params:
                    name = "unsharded_accumulated_grad"
                    kept.append((parameter, name, getattr(parameter, name)))
        self._kept += kept
        for whole in _whole_of(new):
            if whole.grad is not None:
                self._grads[id(whole)] = whole.grad
        _reset(state)
        for thing, name, value in kept:
            setattr(thing, name, value)

    def set_aside(self) -> None:
        """Take off the gradients that are not reduced yet: a run must not add to them."""
        for whole in _whole_of(self._states.values()):
            whole.grad = None
        for thing, name, _ in self._kept:
            setattr(thing, name, None)

    def reset(self) -> None:
        """Put all shards in their place, whatever the last pass has come to."""
        states = _with_others(self._states.values())
        # The first forward pass of all sets hooks, once: they must outlive the restore.
        for group in (group for state in states for group in state._fsdp_param_groups):
            self._note_hooks(group)
        roots = {id(root): root for root in (_root_of(state) or state for state in states)}
        for root in roots.values():
            _reset(root)

    def _note_hooks(self, group: Any) -> None:
        for handles in (
            group._module_to_pre_save_state_dict_hook_handle,
            group._module_to_pre_load_state_dict_hook_handle,
        ):
            for handle in handles.values():
                hooks = handle.hooks_dict_ref()
                if hooks is not None and handle.id in hooks:
                    self._hooks[id(hooks), handle.id] = hooks, handle.id, hooks[handle.id]

    def put_back(self) -> None:
        """Put back the flags and the gradients, once the modules are what they were."""
        for thing, flags in self._flags:
            for name, value in flags.items():
                setattr(thing, name, value)
        # What a failed backward pass has left, the next one would add to.
        for whole in _whole_of(_with_others(self._states.values())):
            whole.grad = self._grads.get(id(whole))
        for thing, name, value in self._kept:
            setattr(thing, name, value)
        for hooks, key, hook in self._hooks.values():
            hooks.setdefault(key, hook)


def _root_of(state: Any) -> Any:
    """Return the state of the root; `None` before its first forward pass."""
    return next((each for each in state._state_ctx.all_states if each._is_root), None)


def _with_others(states: Iterable[Any]) -> Iterable[Any]:
    """Return some states, and those with which they take part in the same passes."""
    every = {id(each): each for state in states for each in (state, *state._state_ctx.all_states)}
    return every.values()


def _reset(state: Any) -> None:
    root = _root_of(state)
    if root is None:  # there has been no pass that could be reset
        for module in state._modules:
            module.reshard()
    else:
        root._modules[0].reset_iter_state()


def _whole_of(states: Iterable[Any]) -> Iterator[Any]:
    """Yield the whole parameters; there are some once they have been gathered."""
    for state in states:
        for group in state._fsdp_param_groups:
            for parameter in group.fsdp_params:
                if (whole := getattr(parameter, "unsharded_param", None)) is not None:
                    yield whole


def _flags_of(thing: Any) -> dict[str, bool]:
    return {
        name: value
        for name, value in vars(thing).items()
        if isinstance(value, bool) and not name.startswith("_") and "queued" not in name
    }
