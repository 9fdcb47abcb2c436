"""Models of the diffusers library, from local folders, as generators for eigenwalk."""
