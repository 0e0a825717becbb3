"""``snnsim eval``."""

from pathlib import Path

import click

from .options import data_dir_option, json_option, overrides_argument, skip_bad_option, threads_option, with_skipping


@click.command("eval")
@click.argument("model", metavar="RUN_DIR|MODEL", type=click.Path(path_type=Path))
@overrides_argument
@click.option("--data", metavar="NAME|PATH", help="Other data than the model's own test set; all of a file is tested.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Test the first N samples only.")
@click.option("--neurobench", is_flag=True, help="Print NeuroBench's figures too, by its own definitions.")
@threads_option
@data_dir_option
@skip_bad_option
@json_option
def evaluate(
    model: Path,
    overrides: tuple[str, ...],
    data: str | None,
    limit: int | None,
    neurobench: bool,
    threads: int | None,
    data_dir: Path | None,
    skip_bad: bool,
    as_json: bool,
) -> None:
    """Test a trained network and count its operations.

    KEY=VALUE changes a setting the model carries, for example encoder.direct.num_steps=5.
    """
    from snnsim import inference

    result = inference.evaluate_model(
        model,
        with_skipping(overrides, skip_bad),
        data=data,
        limit=limit,
        data_dir=data_dir,
        threads=threads,
        neurobench=neurobench,
        warn=lambda text: click.echo(text, err=True),
    )
    if as_json:
        import json

        click.echo(json.dumps(result))
        return
    from snnsim.tables import in_one_line, text_table

    from .render import neurobench_rows

    rows = [(key, value) for key, value in result["test"].items() if isinstance(value, int)]
    click.echo(f"test {in_one_line(result['test'])}\n\n{text_table(('total over the samples', 'count'), rows)}")
    if neurobench:
        click.echo(f"\n{text_table(('NeuroBench', 'figure'), neurobench_rows(result['neurobench']))}")
