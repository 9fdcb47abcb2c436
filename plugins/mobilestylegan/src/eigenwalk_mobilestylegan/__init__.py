"""MobileStyleGAN as a generator for eigenwalk: photographic faces of 1024 pixels, read from OpenVINO's files."""
