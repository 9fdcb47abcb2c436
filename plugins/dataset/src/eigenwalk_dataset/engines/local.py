"""Processes of this machine: one generator in each, one thread in each, and a GPU for each where there are some.

Every worker has a pipe of its own, so that one that is killed, whenever, leaves nothing locked.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from eigenwalk_dataset.engines.worker import serve_call
from eigenwalk_dataset.plan import Measured, Order, Plan
from eigenwalk_dataset.schedule import Event, Task, WorkerLost, error_of

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CONTEXT = multiprocessing.get_context("spawn")
LONGEST = 5.0
"""Seconds that a worker has to end before it is killed."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    number: int
    task: Task | None = None


class LocalEngine:
    """`workers` processes; with ``cuda``, worker i has GPU i modulo `gpus` for itself."""

    def __init__(self, workers: int, gpus: int = 0):
        self.count, self.gpus = workers, gpus
        self.workers: list[_Worker] = []
        self.plan: Plan | None = None
        self.folder = ""

    def survey(self, order: Order) -> Measured:
        """Return what the first worker measures; raises as it does."""
        return self._call("survey", order)

    def measure(self, plan: Plan) -> dict[str, Any]:
        """Return what the first worker's first group of seeds took."""
        return self._call("measure", plan)

    def begin(self, plan: Plan, folder: str) -> None:
        """Start the workers."""
        self.plan, self.folder = plan, folder
        self.count = min(self.count, plan.order.count)
        while len(self.workers) < self.count:
            self._start()

    def free(self) -> int:
        """Return how many workers have no shard."""
        return sum(worker.task is None for worker in self.workers)

    def submit(self, task: Task) -> None:
        """Give a shard to a worker that has none."""
        worker = next(one for one in self.workers if one.task is None)
        worker.task = task
        with suppress(OSError):  # it has just died, which `wait` finds out
            worker.pipe.send(("make", self.plan, self.folder, task.index, task.batch))

    def wait(self, seconds: float) -> list[Event]:
        """Return what the workers say, and start another for each that died."""
        alive = {worker.pipe: worker for worker in self.workers}
        events: list[Event] = []
        for pipe in wait(list(alive), seconds):
            worker = alive[pipe]  # type: ignore[index]
            try:
                event = worker.pipe.recv()
            except (EOFError, OSError):
                events += self._replace(worker)
                continue
            if event.what != "images":
                worker.task = None
            events.append(event)
        return events

    def close(self) -> None:
        """End all workers; what they were making is made again another time."""
        for worker in self.workers:
            worker.process.terminate()
        deadline = time.monotonic() + LONGEST
        for worker in self.workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self.workers = []

    def _call(self, name: str, *arguments: Any) -> Any:
        if not self.workers:
            self._start()
        worker = self.workers[0]
        try:
            worker.pipe.send((name, *arguments))
            answer = worker.pipe.recv()
        except (EOFError, OSError):
            self._replace(worker)
            raise WorkerLost(_died(worker)) from None
        if isinstance(answer, Event):
            raise error_of(answer)
        return answer

    def _replace(self, worker: _Worker) -> list[Event]:
        """Start another worker in the place of one that died."""
        worker.process.join()
        self.workers.remove(worker)
        worker.pipe.close()
        self._start(worker.number)
        return [] if worker.task is None else [Event("died", worker.task.index, text=_died(worker))]

    def _start(self, number: int | None = None) -> None:
        ours, theirs = CONTEXT.Pipe()
        number = len(self.workers) if number is None else number
        process = CONTEXT.Process(target=_serve, args=(theirs,), daemon=True, name=f"eigenwalk-dataset-{number}")
        extra = {"CUDA_VISIBLE_DEVICES": _gpu(number % self.gpus)} if self.gpus else {}
        with _environment({**dict.fromkeys(THREADS, "1"), **extra}):
            process.start()
        theirs.close()
        self.workers.append(_Worker(process, ours, number))


def _serve(pipe: Connection) -> None:
    """Answer the driver until it ends, whose end also ends this process, whatever it is doing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver is told to stop, and stops its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    state: dict[str, Any] = {}
    with suppress(EOFError, OSError):
        while True:
            name, *arguments = pipe.recv()
            pipe.send(serve_call(state, name, arguments, pipe.send))


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _died(worker: _Worker) -> str:
    code = worker.process.exitcode
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"its worker was ended by {signal.Signals(-code).name}, as systems do when memory is short"
    return f"its worker ended with code {code}"


def _gpu(number: int) -> str:
    """Return the GPU that the environment calls `number`."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return visible.split(",")[number] if visible else str(number)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables of the environment for what is started inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def count_gpus() -> int:
    """Return how many GPUs CUDA sees; loads torch."""
    import torch

    return torch.cuda.device_count()


def usable_processors() -> Sequence[int]:
    """Return the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)
