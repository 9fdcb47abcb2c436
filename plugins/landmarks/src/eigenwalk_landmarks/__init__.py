"""The geometry of a face, as a feature for eigenwalk."""
