"""A run: its recipe, the walk that it describes, the memory that the walk may take, and the folder that it writes."""
