"""No features or generators here: directions are checked by this package's own tests."""

CASES = []
