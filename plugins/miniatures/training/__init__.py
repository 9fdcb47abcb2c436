"""Trains a miniature's networks on its own renders: data, gan, segmenter, regressor, judge."""
