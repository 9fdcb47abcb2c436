"""One module for each kind of file, each with `read(path)`, which gives the generator in it as data."""
