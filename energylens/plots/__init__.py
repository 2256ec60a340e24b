"""Shared parts of figures: `(ax, table) -> None`. Nothing here imports torch."""
