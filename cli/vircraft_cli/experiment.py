"""`vircraft experiment`: compare methods of fusion by what comes after; torch loads when cells are made."""

from __future__ import annotations

import click

from vircraft_cli.lazy import LazyGroup

# name -> (module, one line of help), so that `vircraft experiment --help` imports none of them
COMMANDS = {
    "plan": ("vircraft_cli.experiment_plan", "Print a plan to fill in: the paper's, or a small example."),
    "run": ("vircraft_cli.experiment_run", "Train and judge every cell of a plan; write the tables."),
    "tables": ("vircraft_cli.experiment_tables", "Write the tables again from the cells that are done."),
}


@click.group("experiment", cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """Train one network a task on every method's pictures, and compare: the paper's Tab. 2 to 5.

    Needs the extra 'tasks': pip install 'vircraft[tasks]'.

    \b
    Example:
      vircraft experiment plan example > plan.toml     # methods, tasks, seeds: fill in the folders
      vircraft experiment run plan.toml -o experiment
      vircraft experiment tables experiment --paper
    """
