"""The widget: everything that knows the notebook."""
