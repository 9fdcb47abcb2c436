"""Share runs between cells: a pair's objects, typical distances and batch serve all its methods."""

from __future__ import annotations

from dataclasses import replace

from eigenwalk.names.registry import Registry
from eigenwalk.names.tree import Call
from eigenwalk.objects.compose import build_method
from eigenwalk.runs import api
from eigenwalk.runs.recipe import Recipe
from eigenwalk_evaluate.method import SOLVERS

KEPT = 3
"""Runs to keep: a pair's own, that of the published rule's finite differences, and that of its judges."""


class Runs:
    """Runs by recipe; the latest are kept, since measuring how many rows fit takes longer than many a cell."""

    def __init__(self, registry: Registry):
        self.registry = registry
        self._kept: dict[str, api.Run] = {}

    def of(self, recipe: Recipe) -> api.Run:
        """Return the run of a recipe; raises as `api.start`."""
        key = recipe.model_dump_json()
        if key not in self._kept:
            self._kept[key] = api.start(recipe, registry=self.registry)
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]

    def with_method(self, recipe: Recipe, solver: str, paths: int) -> api.Run:
        """Return the run of a recipe by another method, with `paths` or as many as the latent has directions."""
        if solver == SOLVERS["published"]:
            run = self.of(recipe.model_copy(update={"solver": Call(solver)}))
        else:
            run = self.of(recipe)
            run = replace(run, options=replace(run.options, method=build_method(solver, self.registry)[0]))
        most = 2 * run.problem.linearisation.generator.latent_dim
        return replace(run, options=replace(run.options, paths=min(paths, most)))
