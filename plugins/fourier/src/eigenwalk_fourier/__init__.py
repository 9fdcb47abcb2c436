"""Frequency bands as features for eigenwalk."""
