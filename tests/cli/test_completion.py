"""Shell completion: the scripts, and what is offered where."""

import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(main: Any, shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each asks the command itself what could come next."""
    assert main.call(["completion", shell]) == 0
    assert f"_SNNSIM_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_unknown_shells_are_refused(main: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With the ones that there are."""
    assert main.call(["completion", "csh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err


def offered(
    main: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> list[tuple[str, str]]:
    """Return what bash is offered after some words of which the last is not complete, as kind and text."""
    monkeypatch.setenv("_SNNSIM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["snnsim", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 0
    kinds = (line.partition(",") for line in capsys.readouterr().out.splitlines())
    return [(kind, text) for kind, _, text in kinds]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["re"], [("plain", "report")]),
        (["run", "digits-"], [("file", "digits-"), ("plain", "digits-kd")]),
        (["validate", "yin"], [("file", "yin"), ("plain", "yin-yang")]),
        (["describe", "yin"], [("file", "yin"), ("plain", "yin-yang")]),
        (["new", "yin"], [("plain", "yin-yang")]),
        (["sweep", "digits"], [("file", "digits"), ("plain", "digits-kd"), ("plain", "digits-search")]),
        (["data", "info", "fash"], [("plain", "fashion-mnist")]),
        (["run", "digits", "--thr"], [("plain", "--threads")]),
    ],
)
def test_what_is_offered(
    main: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: list[tuple[str, str]],
) -> None:
    """Commands, options, ready names where they fit, and files beside them."""
    assert offered(main, monkeypatch, capsys, *words) == expected


def test_names_are_offered_at_once() -> None:
    """Without the libraries that validation needs."""
    code = (
        "import sys; from snnsim.cli.completion import complete_configs; complete_configs(None, None, 'd'); "
        "print({'pydantic', 'numpy', 'numba'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"set()\n"
