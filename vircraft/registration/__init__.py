"""Register one pair, or the pairs of one clip, of infrared and visible pictures (paper Sec. 3.1)."""
