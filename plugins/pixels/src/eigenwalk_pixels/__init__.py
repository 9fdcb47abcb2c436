"""The image itself as a feature for eigenwalk."""
