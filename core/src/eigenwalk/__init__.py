"""eigenwalk: walk through an image generator's latent space while named features stay fixed and others vary."""
