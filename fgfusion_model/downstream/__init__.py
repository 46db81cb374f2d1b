"""What comes after fusion: keypoints, segmentation and detection, trained and judged on any pictures."""
