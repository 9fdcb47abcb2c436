"""One module for each kind of file, each with a function that gives the generator in it as data."""
