"""From an idea to a package that others install: made from a template, tried as strangers would have it, proposed."""
