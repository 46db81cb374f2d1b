"""Using FGFusion: pictures, folders, datasets, videos, tiles; export to other programs."""
