"""Every command, program and configuration of README and the documentation does what it is there for."""

from pathlib import Path

import pytest

from pages import Block, PageError, blocks, run_page

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REASONS = (
    "installing needs a package index",
    ".ci/run ",
    "tests/",
    "MNIST does not ship",
    "recordings that do not ship",
    "peers and data sets that do not ship",
)


def page(path: Path) -> list[Block]:
    return blocks(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_blocks_of_a_page_run(path: Path, tmp_path: Path) -> None:
    """In order, in one folder, as a reader would type them."""
    run_page(page(path), tmp_path)


def test_what_is_skipped_has_one_of_few_reasons() -> None:
    """A block is left out only where something does not ship, or another test runs it."""
    skipped = [block for path in PAGES for block in page(path) if block.skip]
    assert [block.place for block in skipped if not block.skip.startswith(REASONS)] == []
    run = [block for path in PAGES for block in page(path) if not block.skip and block.language != "text"]
    assert len(run) > 4 * len(skipped)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```sh\nfalse\n```", "page.md:1: exit code 1"),
        ("```sh\ntrue\nsnnsim run digitss\n```", "did you mean 'digits'"),
        ("```python\nx = 1\n```\n\n```python\nassert x == 2\n```", "line 6, in <module>"),
        ("```python\nimport warnings\nwarnings.warn('old')\n```", "UserWarning"),
        ("```yaml\nnetwork: [{dense: 10}, {li: {betta: 1}}]\n```", "did you mean 'beta'"),
        ("```yaml\nbase: digits\nmethodss: {}\n```", "methods"),
        ("```yaml\noperations: {}\n```", "page.md:1: "),
        ("```yaml\n- a list\n```", "not a map"),
        ("```\nsnnsim run digits\n```", "a block of ''"),
        ("words\n\n    snnsim run digits\n", "page.md:3: an indented block"),
        ("<!-- test: skip -->\n```sh\nfalse\n```", "page.md:1: not understood: skip"),
        ("<!-- test: shorten it -->\n```sh\ntrue\n```", "not understood: shorten it"),
        ("<!-- test: append data.limit=9 -->\n```sh\ntrue\n```", "no `snnsim run`"),
        ("<!-- test: replace 20 => 1 -->\n```sh\ntrue\n```", "no '20' to replace"),
    ],
)
def test_what_does_not_hold_is_found(text: str, message: str, tmp_path: Path) -> None:
    """A block that fails, or that nobody could run, is an error that names its line."""
    with pytest.raises(PageError) as error:
        run_page(blocks("page.md", text), tmp_path)
    assert message in str(error.value)


def test_comments_above_a_block_shorten_it(tmp_path: Path) -> None:
    """Words are appended before a comment, text is replaced, a file is written; other text ends their reach."""
    text = (
        "<!-- test: append a=1 -->\n<!-- test: replace digits => mnist -->\n\n"
        "```sh\nsnnsim run digits b=2   # why\nsnnsim run digits \\\n  c=3\nsnnsim eval digits\n```\n\n"
        "<!-- test: file kept.txt -->\n```sh\ntrue\n```\n"
        "<!-- test: skip, far away -->\nwords\n```sh\ntrue\n```\n"
    )
    first, second, third = blocks("page.md", text)
    assert first.shortened == "snnsim run mnist b=2 a=1   # why\nsnnsim run mnist \\\n  c=3 a=1\nsnnsim eval mnist"
    assert (first.line, second.file, third.skip) == (4, "kept.txt", "")
    run_page([second], tmp_path)
    assert (tmp_path / "kept.txt").read_text(encoding="utf-8") == "true\n"
