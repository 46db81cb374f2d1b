"""A binocular camera pair filming a rendered aircraft on approach, with exact ground truth."""
