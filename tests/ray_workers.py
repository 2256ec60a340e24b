"""Processes of Ray's that are at work."""

from pathlib import Path


def at_work(task: str) -> list[int]:
    """Those that run this function as a task."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(f"ray::{task}".encode()):
            found.append(int(folder.name))
    return found
