"""What breaks a rule or looks odd in label files."""
