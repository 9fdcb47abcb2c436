"""The command `eigenwalk attributes fit`: a network for a label of your own, from images that show it."""
