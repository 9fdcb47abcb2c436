"""What is kept in memory, within so many bytes: what was used longest ago goes first."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from eigenwalk.path import Path, StoredImage

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
LEAST = 16 << 10
"""Bytes that anything is counted as, so that many small things are bounded too."""


class Kept(Generic[K, V]):
    """Values by key, at most `most` bytes of them; `size` says how many bytes a value takes. Safe among threads."""

    def __init__(self, most: int, size: Callable[[V], int] = lambda value: 0):
        self.most, self.size = most, size
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    @property
    def bytes(self) -> int:
        """What is kept takes so many."""
        return self._bytes

    def get(self, key: K) -> V | None:
        """Return a value, which is then the last to go; None where it is not kept."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: K, value: V) -> V:
        """Keep a value, or measure one anew that has grown, and return it; the oldest others go."""
        with self._lock:
            self._bytes -= self._values.pop(key, (None, 0))[1]
            size = max(LEAST, self.size(value))
            self._values[key] = value, size
            self._bytes += size
            while self._bytes > self.most and len(self._values) > 1:
                self._bytes -= self._values.popitem(last=False)[1][1]
        return value


class Shelf(dict[Any, Any]):
    """Built generators and features, as `eigenwalk.objects.compose.Built`; those that were used last stand last."""

    def __getitem__(self, key: Any) -> Any:
        value = super().pop(key)
        super().__setitem__(key, value)
        return value

    def trim(self, most: int, in_use: Iterable[Any] = ()) -> int:
        """Drop what was used longest ago until all takes at most `most` bytes; return how many bytes went.

        Nothing goes that shares a tensor with an object `in_use`.
        """
        held, own = storages(in_use), {key: storages([value]) for key, value in list(self.items())}
        sizes = {address: size for tensors in own.values() for address, size in tensors.items()}
        shared = Counter(address for tensors in own.values() for address in tensors)
        total, went = sum(sizes.values()) + LEAST * len(own), 0
        for key, tensors in own.items():
            if total - went <= most:
                break
            if not tensors.keys() & held.keys():
                del self[key]
                shared.subtract(tensors.keys())
                went += LEAST + sum(sizes[address] for address in tensors if not shared[address])
        return went


def storages(objects: Iterable[Any]) -> dict[int, int]:
    """Return the bytes of every tensor and array that objects hold, by address."""
    found: dict[int, int] = {}
    seen: dict[int, Any] = {}
    stack = list(objects)
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, (type, ModuleType, FunctionType, MethodType, str, bytes)):
            continue
        seen[id(one)] = one
        if isinstance(one, torch.Tensor):
            storage = one.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        elif isinstance(one, np.ndarray):
            found[one.__array_interface__["data"][0]] = one.nbytes
        elif isinstance(one, Mapping):
            stack += one.values()
        elif isinstance(one, (list, tuple, set, frozenset)):
            stack += one
        elif isinstance(one, nn.Module):
            stack += [*one.parameters(), *one.buffers(), *vars(one).values()]
        else:
            stack += getattr(one, "__dict__", {}).values()
    return found


def size_of(tensor: torch.Tensor) -> int:
    """Return the bytes of a tensor."""
    return tensor.numel() * tensor.element_size()


def size_of_paths(paths: Iterable[Path]) -> int:
    """Return the bytes of walked paths; pictures that lie on disk take none."""
    size = 0
    for waypoint in (waypoint for path in paths for waypoint in path):
        image = vars(waypoint)["image"]
        size += waypoint.latent.nbytes + waypoint.direction.nbytes
        size += 0 if isinstance(image, StoredImage) else image.nbytes
    return size
