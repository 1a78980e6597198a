"""Shells complete the command; and its help is quick, since it imports little."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from dfgame.cli import VERBS, main


def printed(capsys, *words):
    with pytest.raises(SystemExit) as exit_:
        main(["completion", *words])
    assert exit_.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_every_verb_and_its_flags(shell, capsys):
    words = set(re.findall(r"[\w.-]+", printed(capsys, shell)))
    assert set(VERBS) <= words
    flags = ("licence", "blur.window") if shell == "fish" else ("--licence", "--blur.window")
    assert {*flags} <= words


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [("ex", {"export", "extract"}), ("export --lic", {"--licence"}), ("inspect --dev", {"--device"})],
)
def test_bash_completes(typed, completed, tmp_path, capsys):
    script = tmp_path / "dfgame.bash"
    script.write_text(printed(capsys, "bash"))
    words = ["dfgame", *typed.split()]
    asks = f". {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _dfgame"
    done = subprocess.run(
        ["bash", "-c", f"{asks}; printf '%s\\n' \"${{COMPREPLY[@]}}\""], capture_output=True, text=True, timeout=60
    )
    assert set(done.stdout.split()) == completed, done.stderr


def test_it_is_installed_where_the_shell_looks(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text("alias mine=yours\n")
    printed(capsys, "bash", "--install")
    said = printed(capsys, "bash", "--install")
    script = tmp_path / ".local/share/bash-completion/completions/dfgame"
    assert str(script) in said and "_dfgame" in script.read_text()
    rc = (tmp_path / ".bashrc").read_text()
    assert rc.startswith("alias mine=yours\n") and sum(f'. "{script}"' in line for line in rc.splitlines()) == 1


def test_the_list_of_verbs_says_what_they_are_for_and_is_there_at_once():
    script = "import sys; from dfgame.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    script += "sys.exit(' '.join({'rich.markdown', 'numpy', 'torch'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    listed = dict(re.findall(r"^│ ([a-z]+) +(\w.*)$", done.stdout, re.MULTILINE))
    assert listed.keys() == set(VERBS) and all(len(words) > 20 for words in listed.values())
