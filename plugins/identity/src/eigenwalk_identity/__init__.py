"""Whose face it is, as a feature for eigenwalk."""
