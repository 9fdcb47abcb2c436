"""What fits into memory, and how it is said."""
