"""A learning rate and a schedule as lines of code that run without the widget."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from lrfinder_widget.curve.suggest import Suggestion

from .number import format_lr

ScheduleKind: TypeAlias = Literal["warmup", "1cycle", "cosine", "wsd"]


def check_kind(kind: ScheduleKind) -> None:
    """Reject an unknown kind of schedule.

    Raises
    ------
    ValueError
        If it is none of `ScheduleKind`.
    """
    if kind not in get_args(ScheduleKind):
        raise ValueError(f"kind must be one of {get_args(ScheduleKind)}; got {kind!r}.")


def pick_line(name: str, lr: float, about: str) -> str:
    """Return the assignment of a learning rate, with a comment on where it comes from."""
    return f"{name} = {format_lr(lr)}  # {about}"


def schedule_lines(
    kind: ScheduleKind,
    steps: int,
    name: str,
    pick: str,
    found: Suggestion,
    *,
    ratios: bool,
    tensors: bool,
) -> str:
    """Return the code of a schedule for the optimizer of that name.

    Parameters
    ----------
    kind : ScheduleKind
        What it does to the learning rate.
    steps : int
        The number of optimizer steps.
    name, pick : str
        The name of the learning rate, and the line that assigns it.
    found : Suggestion
        Its band has the two ends of 1cycle.
    ratios : bool
        Whether the parameter groups have different learning rates, whose ratios are to be kept.
    tensors : bool
        Whether a learning rate may be a tensor, which is to be filled: a step that was compiled or
        captured sees nothing else.
    """
    rate = 'float(group["lr"])' if tensors else 'group["lr"]'
    part = f" * {rate} / largest" if ratios else ""
    largest = f"largest = max({rate} for group in optimizer.param_groups)"
    warm, decay = max(1, steps // 20), max(1, steps // 5)
    lines = []
    if kind == "1cycle":
        assert found.low is not None
        assert found.high is not None
        low, high = format_lr(found.low), format_lr(found.high)
        lines += [f"# {pick.partition('# ')[2]}: the ends of the band"]
        peak = f"[{high}{part} for group in optimizer.param_groups]" if ratios else high
        cycle = f"div_factor={high} / {low}, total_steps={steps}, cycle_momentum=False"
        made, lines = f"OneCycleLR(optimizer, {peak}, {cycle})", [*lines, *[largest] * ratios]
    else:
        lines += [pick, *[largest] * ratios, "for group in optimizer.param_groups:"]
        if tensors:
            lines += [f'    group["initial_lr"] = {name}{part}']
            lines += ['    fill = getattr(group["lr"], "fill_", float)  # a tensor stays']
            lines += ['    group["lr"] = fill(group["initial_lr"])']
        else:
            lines += [f'    group["lr"] = group["initial_lr"] = {name}{part}']
        made = {
            "warmup": f"LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / {warm}))",
            "cosine": f"CosineAnnealingLR(optimizer, T_max={steps})",
            "wsd": "LambdaLR(\n    optimizer,\n    lambda step: max(0.0, min(1.0, "
            f"(step + 1) / {warm}, ({steps} - step) / {decay})),\n)",
        }[kind]
    return "\n".join(
        [
            f"from torch.optim.lr_scheduler import {made.partition('(')[0]}",
            "",
            *lines,
            f"scheduler = {made}",
            "# after each optimizer.step(): scheduler.step()",
        ]
    )
