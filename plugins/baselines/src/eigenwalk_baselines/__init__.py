"""The field's methods as directions for eigenwalk, each from its paper."""
