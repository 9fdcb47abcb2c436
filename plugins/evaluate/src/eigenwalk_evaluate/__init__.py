"""How well methods hold what is to hold: walks of a grid of pairs, methods and seeds, measured alike.

grid       what to evaluate, from a TOML file
plan       every name resolved, and one cell for each generator, pair and method
walked     a cell's walk; `lines` for methods that go straight; `limit`, what optimising the latent finds
judge      what features that no method was asked about say of a walk
figures    drift at a share of varied change, arrival, area, cost, with intervals: numbers out of cells
folder     cells saved one by one, and tables, plots and the page made of all of them
"""
