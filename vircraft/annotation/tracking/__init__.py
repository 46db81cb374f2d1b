"""Labels carried on from frame to frame."""
