"""A run: its recipe, the walk that the recipe describes, the memory that the walk may take, and the folder it writes."""
