"""Masks as features for eigenwalk."""
