"""Making widgets that share layouts and styles, and closing whole trees of widgets.

In ipywidgets, each layout and each style is a model of its own. Without sharing, a finder would
have half as many models again. Each costs a message when it is displayed and, where JupyterLab
opens a kernel subshell per comm, a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets


class WidgetFactory:
    """Makes the widgets of one finder; widgets with equal layouts or styles share one.

    Pass an `ipywidgets.Layout` for a layout that will change: it is not shared.
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
        """Make a widget of this kind; the arguments are those of its constructor."""
        if not isinstance(layout, ipywidgets.Layout):
            layout = self._shared(ipywidgets.Layout, layout)
        if "style" in kind.class_trait_names():
            traits["style"] = self._shared(kind.class_traits()["style"].klass, style)
        return kind(*args, layout=layout, **traits)

    def _shared(self, kind: Any, values: Mapping[str, str]) -> Any:
        key = (kind, *sorted(values.items()))
        if key not in self._made:
            self._made[key] = kind(**values)
        return self._made[key]

    def close(self) -> None:
        """Close the shared layouts and styles."""
        for shared in self._made.values():
            shared.close()


def close_tree(widget: Any) -> None:
    """Close a widget and everything it refers to: children, layouts, styles, scales and so on."""
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
