"""BigGAN and BigGAN-deep from their published files, as generators for eigenwalk."""
