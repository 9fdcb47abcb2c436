"""Actors of a Ray cluster: each loads the generator once and makes a shard at a time."""

from __future__ import annotations

import logging
import os
from typing import Any

from eigenwalk.errors import InputError
from eigenwalk_dataset.engines.local import THREADS
from eigenwalk_dataset.engines.worker import serve_call
from eigenwalk_dataset.plan import Measured, Order, Plan
from eigenwalk_dataset.schedule import Event, Task, WorkerLost, error_of


class Worker:
    """One process of the cluster; Ray makes it an actor."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def call(self, name: str, *arguments: Any) -> Any:
        """Answer a call of the driver; see `serve_call`."""
        return serve_call(self.state, name, arguments, None)


class RayEngine:
    """`workers` actors on the cluster at `address`, or on this machine; a GPU for each if `gpu`.

    An autoscaling cluster grows until all of them have a place; those that have one work meanwhile.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, workers: int | None, address: str | None = None, gpu: bool = False):
        try:
            import ray
        except ImportError:
            raise InputError("--engine ray needs Ray: pip install eigenwalk-dataset[ray]") from None
        self.ray, self.gpu = ray, gpu
        # Ray lowers the priority of its workers by 15 for the sake of other programs; whoever wants that starts the
        # command with `nice`, as with the local engine. A cluster that runs already keeps its own setting.
        os.environ.setdefault("RAY_worker_niceness", "0")
        alone = {} if address else {"num_cpus": workers, "include_dashboard": False}
        environment = {"env_vars": dict.fromkeys(THREADS, "1")}
        try:
            ray.init(address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR, **alone)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"--address {address}: {error}") from None
        has = ray.cluster_resources()
        self.count = workers or max(1, int(has.get("GPU" if gpu else "CPU", 1)))
        self.idle: list[Any] = []
        self.coming: dict[Any, Any] = {}
        self.running: dict[Any, tuple[Any, Task]] = {}
        self.plan: Plan | None = None
        self.folder = ""

    def survey(self, order: Order) -> Measured:
        """Return what one actor measures; raises as it does."""
        return self._call("survey", order)

    def measure(self, plan: Plan) -> dict[str, Any]:
        """Return what one actor's first group of seeds took."""
        return self._call("measure", plan)

    def begin(self, plan: Plan, folder: str) -> None:
        """Start the actors."""
        self.plan, self.folder = self.ray.put(plan), folder
        for _ in range(len(self.idle) + len(self.coming), min(self.count, plan.order.count)):
            self._start()

    def free(self) -> int:
        """Return how many actors have a place in the cluster, and no shard."""
        return len(self.idle)

    def submit(self, task: Task) -> None:
        """Give a shard to an actor that has none."""
        actor = self.idle.pop()
        call = actor.call.remote("make", self.plan, self.folder, task.index, task.batch)
        self.running[call] = actor, task

    def wait(self, seconds: float) -> list[Event]:
        """Return what the actors say, and start another for each that died."""
        waiting = [*self.running, *self.coming]
        ready, _ = self.ray.wait(waiting, num_returns=1, timeout=seconds) if waiting else ([], [])
        events = []
        for call in ready:
            if call in self.coming:
                self._arrived(call)
                continue
            actor, task = self.running.pop(call)
            try:
                event = self.ray.get(call)
                self.idle.append(actor)
            except self.ray.exceptions.RayError as error:
                event = Event("died", task.index, text=f"its worker was lost: {str(error).splitlines()[0]}")
                self._start()
            events.append(event)
        return events

    def close(self) -> None:
        """Leave the cluster, which ends the actors."""
        self.ray.shutdown()

    def _call(self, name: str, *arguments: Any) -> Any:
        if not self.idle:
            self._start()
            while not self.idle:
                self.wait(1.0)
        try:
            answer = self.ray.get(self.idle[0].call.remote(name, *arguments))
        except self.ray.exceptions.RayError as error:
            self.idle.pop(0)
            raise WorkerLost(f"its worker was lost: {str(error).splitlines()[0]}") from None
        if isinstance(answer, Event):
            raise error_of(answer)
        return answer

    def _start(self) -> None:
        # A task that Ray repeats by itself would not be counted as failed.
        kind = self.ray.remote(num_cpus=1, num_gpus=int(self.gpu), max_restarts=0, max_task_retries=0)
        actor = kind(Worker).remote()
        self.coming[actor.__ray_ready__.remote()] = actor

    def _arrived(self, call: Any) -> None:
        actor = self.coming.pop(call)
        try:
            self.ray.get(call)
            self.idle.append(actor)
        except self.ray.exceptions.RayError:
            self._start()
