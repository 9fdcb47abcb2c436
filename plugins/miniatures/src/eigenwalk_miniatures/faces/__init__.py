"""Portraits: a person, who stays the same, and everything about the picture that need not."""
