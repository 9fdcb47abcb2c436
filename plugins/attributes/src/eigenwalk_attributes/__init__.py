"""Attributes by label, and embeddings, from networks of timm, as features for eigenwalk."""
