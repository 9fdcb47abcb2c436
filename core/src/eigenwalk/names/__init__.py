"""From text to offers: expressions, options, the registry of plugins, the index of names. Needs no torch."""
