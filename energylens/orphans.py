"""Processes that end with the process that started them, however that one ends."""

import multiprocessing
import os
import threading
from multiprocessing import connection


def end_with_parent() -> None:
    """In a process that multiprocessing started: be gone when the one that started it is."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (connection.wait([parent.sentinel]), os._exit(1)), daemon=True).start()
