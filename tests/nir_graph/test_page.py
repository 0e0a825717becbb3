"""The example of docs/nir.md that needs another library; the page's other blocks run where all pages' do."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "nir.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore")  # theirs
def test_the_example_of_snntorch_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands there, where snnTorch is installed."""
    pytest.importorskip("snntorch", reason="snntorch is not installed", exc_type=ImportError)
    (code,) = (block for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S) if "snntorch" in block)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "docs/nir.md", "exec"), names)
    assert str(names["net"]).startswith("Network([4] -> dense [8], lif [8], dense [3], lif [3]")
