"""The aircraft annotation convention (paper Sec. 3.1): nine keypoints, box, outline."""
