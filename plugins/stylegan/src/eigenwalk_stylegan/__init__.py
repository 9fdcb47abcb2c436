"""StyleGAN2 and StyleGAN3 from their published files, as generators for eigenwalk."""
