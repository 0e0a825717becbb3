"""``snnsim predict``."""

import csv
import io
from pathlib import Path

import click

from .options import data_dir_option, overrides_argument, skip_bad_option, threads_option, with_skipping


@click.command()
@click.argument("model", metavar="RUN_DIR|MODEL", type=click.Path(path_type=Path))
@click.argument("data", metavar="NAME|PATH")
@overrides_argument
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.csv", help="File to write instead of printing.")
@threads_option
@data_dir_option
@skip_bad_option
def predict(
    model: Path,
    data: str,
    overrides: tuple[str, ...],
    out: Path | None,
    threads: int | None,
    data_dir: Path | None,
    skip_bad: bool,
) -> None:
    """Classify samples: the class and the logits of each, as CSV.

    Of a regression, its outputs. KEY=VALUE changes a setting the model carries, or gives one it lacks.
    """
    from snnsim import inference
    from snnsim.files import write_text

    classes, logits = inference.predict_model(
        model,
        data,
        with_skipping(overrides, skip_bad),
        data_dir=data_dir,
        threads=threads,
        warn=lambda text: click.echo(text, err=True),
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    # str of a float32 is the shortest text that reads back to it
    if classes is None:
        writer.writerow(f"output_{index}" for index in range(logits.shape[1]))
        writer.writerows(map(str, row) for row in logits)
    else:
        writer.writerow(["class", *(f"logit_{index}" for index in range(logits.shape[1]))])
        writer.writerows([int(label), *map(str, row)] for label, row in zip(classes, logits, strict=True))
    if out is None:
        click.echo(text.getvalue(), nl=False)
    else:
        write_text(out, text.getvalue())
