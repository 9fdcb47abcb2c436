"""Small worlds for eigenwalk: `rooms`, a living-room GAN with its own segmenter and regressor."""
