"""The `vircraft` command: the only place that prints, prompts, shows progress or exits."""
