"""The mathematics of a walk: derivatives of images, the scaled problem, and the methods that choose steps."""
