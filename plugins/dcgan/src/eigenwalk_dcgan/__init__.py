"""DCGANs and decoders from their state dicts, for eigenwalk."""
