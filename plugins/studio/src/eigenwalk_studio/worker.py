"""A thread that does one thing after another, and is left alone where one of them never ends. No torch."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 300.0
"""Seconds without a sign of life after which a thread counts as hung."""
MOST_HUNG = 4
"""Hung threads after which none is started: each holds what it works with, and a processor unless it sleeps."""


class Worker:
    """Does what is submitted, in order; `name` is its thread's."""

    def __init__(self, name: str):
        self.name, self.left = name, 0
        self._queue: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._since = math.inf
        self._start()

    def submit(self, what: Callable[..., T], *args: Any) -> Future[T]:
        """Have `what` called; return what will be its result."""
        future: Future[T] = Future()
        self._queue.put((future, what, args))
        return future

    def mind(self, patience: float, most: int = MOST_HUNG) -> None:
        """Go on in a new thread if this one has been at the same thing for `patience` seconds."""
        if time.monotonic() - self._since > patience and self.left < most:
            self.left += 1
            self._start()

    def close(self) -> None:
        """End after what is being done; cancel the rest."""
        while not self._queue.empty():
            if (task := self._queue.get()) is not None:
                task[0].cancel()
        self._queue.put(None)

    def _start(self) -> None:
        self._since = math.inf
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            future, what, args = task
            if future.set_running_or_notify_cancel():
                self._since = time.monotonic()
                try:
                    result = what(*args)
                except BaseException as error:  # raised again where the result is asked for
                    future.set_exception(error)
                else:
                    future.set_result(result)
            if self._thread is not threading.current_thread():
                return  # it was left alone, and has ended after all
            self._since = math.inf
