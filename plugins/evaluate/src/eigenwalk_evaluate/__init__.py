"""Evaluate how well methods hold fixed features: walk a grid of pairs, methods and seeds, and measure all alike.

grid       what to evaluate, from a TOML file
plan       every name resolved, and one cell for each generator, pair and method
work       a cell computed: a walk, or `lines` for straight methods, `judge` and `limit`
paths      the paths of a cell as arrays
summary    drift at a share of varied change, arrival, area, cost, with intervals
folder     cells saved one by one; then tables, plots and the page
"""
