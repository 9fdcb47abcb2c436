"""Make a package from a template, try it as strangers would, and propose its names for the index."""
