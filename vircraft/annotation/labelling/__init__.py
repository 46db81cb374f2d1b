"""Drawing labels in Labelme, a program of its own."""
