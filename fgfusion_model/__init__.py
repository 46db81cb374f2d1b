"""The foreground-guided fusion network FGFusion; it arrives in a later release and holds no code yet."""
