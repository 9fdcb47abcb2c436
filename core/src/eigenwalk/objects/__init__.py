"""From trees of names to objects: features, generators and directions, and what was used for them."""
