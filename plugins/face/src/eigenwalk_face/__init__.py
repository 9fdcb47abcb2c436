"""What features of faces share: a detector, crops that can be differentiated, and drawn faces for their tests."""
