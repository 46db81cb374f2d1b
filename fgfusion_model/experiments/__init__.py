"""Compare methods of fusion by what comes after: methods x tasks x seeds, and the paper's tables of them."""
