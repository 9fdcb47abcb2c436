"""Linear heads on frozen features: logistic and ridge regression, their penalty chosen by cross-validation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from eigenwalk_attributes.fit.scores import log_loss, temperature

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
FOLDS = 5


@dataclass(frozen=True)
class Head:
    """One output of features: ``x @ weight + bias``, already divided by its `temperature`."""

    weight: Tensor
    bias: float
    temperature: float
    penalty: float


def fit(features: Tensor, truth: Tensor, binary: bool, generator: torch.Generator) -> Head:
    """Fit a head on `features` ``(n, d)`` to `truth` ``(n,)``, which is 0 and 1 if `binary`.

    It minimises mean loss + λ/2 |w|² over standardised features, with log-loss or half the squared error. λ is the one
    of `PENALTIES` with the lowest loss in 5-fold cross-validation; the temperature of a logistic head is fitted to the
    same held-out outputs.
    """
    mean, std = features.mean(0), features.std(0)
    std = torch.where(std > 1e-8 * std.max().clamp(min=1e-30), std, torch.inf)  # constant features get no weight
    x, y = ((features - mean) / std).double(), truth.double()
    offset, spread = (torch.zeros((), dtype=torch.float64), 1.0) if binary else (y.mean(), float(y.std()))
    y = (y - offset) / spread
    fold = torch.randperm(len(y), generator=generator) % FOLDS
    losses, outside = [], []
    for penalty in PENALTIES:
        predicted = torch.empty_like(y)
        for k in range(FOLDS):
            w, b = _solve(x[fold != k], y[fold != k], penalty, binary)
            predicted[fold == k] = x[fold == k] @ w + b
        outside.append(predicted)
        losses.append(log_loss(predicted, y) if binary else float((predicted - y).square().mean()))
    best = min(range(len(PENALTIES)), key=losses.__getitem__)
    heat = temperature(outside[best], y) if binary else 1.0
    w, b = _solve(x, y, PENALTIES[best], binary)
    w, b = w * spread / heat / std, (b * spread + offset) / heat
    return Head(w, float(b - w @ mean.double()), heat, PENALTIES[best])


def _solve(x: Tensor, y: Tensor, penalty: float, binary: bool) -> tuple[Tensor, Tensor]:
    """Return the weight and bias that minimise the penalised loss."""
    if not binary:
        centre, level = x.mean(0), y.mean()
        gram = (x - centre).T @ (x - centre) / len(y) + penalty * torch.eye(x.shape[1], dtype=x.dtype)
        w = torch.linalg.solve(gram, (x - centre).T @ (y - level) / len(y))
        return w, level - centre @ w
    w = torch.zeros(x.shape[1] + 1, dtype=x.dtype, requires_grad=True)
    search = torch.optim.LBFGS([w], max_iter=200, tolerance_grad=1e-8, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        value = F.binary_cross_entropy_with_logits(x @ w[:-1] + w[-1], y) + penalty / 2 * w[:-1].square().sum()
        value.backward()
        return value

    search.step(loss)  # type: ignore[arg-type]
    return w.detach()[:-1], w.detach()[-1]
