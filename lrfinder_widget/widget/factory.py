"""Widgets that share what they look like: each layout and style is a model, with its own channel.

A finder that left that to ipywidgets would have half as many models again. Each costs a message
when it is displayed, and, where JupyterLab gives each channel a subshell of the kernel, a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets


class WidgetFactory:
    """Makes the widgets of one finder; equal layouts and styles are made once.

    A layout that is going to change is given as an `ipywidgets.Layout`, which is not shared.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Any] = {}

    def __call__(
        self,
        kind: Any,
        *args: Any,
        layout: Mapping[str, str] | ipywidgets.Layout = {},  # noqa: B006 - only read
        style: Mapping[str, str] = {},
        **traits: Any,
    ) -> Any:
        """Make a widget of this kind, as its constructor would."""
        if not isinstance(layout, ipywidgets.Layout):
            layout = self._one(ipywidgets.Layout, layout)
        if "style" in kind.class_trait_names():
            traits["style"] = self._one(kind.class_traits()["style"].klass, style)
        return kind(*args, layout=layout, **traits)

    def _one(self, kind: Any, values: Mapping[str, str]) -> Any:
        key = (kind, *sorted(values.items()))
        if key not in self._made:
            self._made[key] = kind(**values)
        return self._made[key]

    def close(self) -> None:
        """Close what is shared."""
        for one in self._made.values():
            one.close()


def close_tree(widget: Any) -> None:
    """Close a widget and what it is made of: ipywidgets keeps each layout, style and scale."""
    seen: dict[int, Any] = {}
    parts = [widget]
    while parts:
        part = parts.pop()
        if isinstance(part, (list, tuple)):
            parts += part
        elif isinstance(part, dict):
            parts += part.values()
        elif isinstance(part, ipywidgets.Widget) and id(part) not in seen:
            seen[id(part)] = part
            parts += [getattr(part, name) for name in part.keys]
    for part in seen.values():
        part.close()
