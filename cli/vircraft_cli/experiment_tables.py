"""`vircraft experiment tables`: the tables of an experiment, from the cells that are done."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click


@click.command("tables")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
@click.option("--paper", is_flag=True, help="Show the paper's figures beside the measured ones.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object on standard output.")
def command(output: Path, paper: bool, as_json: bool) -> int:
    """Write the tables of the experiment in OUT again, from the cells that are done; nothing is trained.

    \b
    Example:
      vircraft experiment tables experiment --paper

    \b
    Exit code: 0 all good, 1 error, 2 usage, 130 interrupted.
    """
    from fgfusion_model.experiments import kinds
    from fgfusion_model.experiments.plan import saved_plan
    from fgfusion_model.experiments.tables import write_tables

    plan = saved_plan(output)
    files = write_tables(replace(plan, paper=paper or plan.paper), output, kinds.KINDS)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in files]}, ensure_ascii=False))
        return 0
    for path in files:
        click.echo(path)
    return 0
