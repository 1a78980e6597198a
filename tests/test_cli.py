"""The command itself: help, settings files, exit codes, one line for each mistake."""

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dfgame import __version__
from dfgame.cli import VERBS, main
from dfgame.config import BlurConfig, TrainConfig
from dfgame.datasets import LAYOUTS
from dfgame.records import UserError


def run(*arguments):
    command = [sys.executable, "-m", "dfgame", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([verb, "--help"])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert "For example" in shown and f"dfgame {verb}" in shown


def test_help_imports_neither_torch_nor_opencv():
    script = "import sys; from dfgame.cli import main\ntry: main(['train', '--help'])\nexcept SystemExit: pass\n"
    script += "sys.exit(bool({'torch', 'cv2', 'av', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "no.parquet", "run"], "no.parquet: no such file"),
        (["train", "m", "r", "--blur.window", "4"], "--blur.window: must be odd and at least 3"),
        (["train", "m", "r", "--blur.windw", "5"], "Did you mean --blur.window?"),
        (["train", "m", "r", "--game", "chess"], 'Invalid value "chess" for --game'),
        (["extract", "nowhere", "out"], "nowhere: no such file or folder"),
        (["forge", "nowhere", "out"], "nowhere: no such folder"),
        (["train", "m", "r", "--config", "no.toml"], "--config no.toml: cannot be read (No such file or directory)"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_use_is_one_or_two_lines_and_exit_2(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    shown = capsys.readouterr()
    assert exit_.value.code == 2
    assert said in shown.err and "Traceback" not in shown.err
    assert len(shown.err.strip().splitlines()) <= 2
    assert not shown.out


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/locked"), "dfgame: /locked: Permission denied\n"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", Path("a")), "dfgame: a: Is a directory\n"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "b/c"), "dfgame: b/c: Not a directory\n"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "d"), "dfgame: d: No such file or directory\n"),
    ],
)
def test_a_path_that_cannot_be_used_is_one_line(error, said, monkeypatch, capsys):
    import dfgame.train

    def fails(*_):
        raise error

    monkeypatch.setattr(dfgame.train, "train_run", fails)
    with pytest.raises(SystemExit) as exit_:
        main(["train", "m", "r"])
    assert (exit_.value.code, capsys.readouterr().err) == (2, said)


@pytest.mark.parametrize(
    ("verb", "says"),
    [("train", "the same command goes on where it was with --resume"), ("calibrate", None)],
)
def test_who_is_interrupted_is_told_whether_it_goes_on(verb, says, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dfgame.cli.app", SimpleNamespace(meta=interrupted))
    with pytest.raises(SystemExit) as exit_:
        main([verb, "m", "r"])
    said = ["dfgame: interrupted", *([f"        {says}"] if says else [])]
    assert (exit_.value.code, capsys.readouterr().err.splitlines()) == (130, said)


def test_a_pipe_that_nobody_reads_is_no_success(monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("dfgame.cli.app", SimpleNamespace(meta=closed))
    with pytest.raises(SystemExit) as exit_:
        main(["inspect", "a.mp4"])
    assert exit_.value.code == 141


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error", "disk"), PermissionError("no path")])
def test_another_failure_of_the_system_keeps_its_traceback(error, monkeypatch):
    import dfgame.train

    def fails(*_):
        raise error

    monkeypatch.setattr(dfgame.train, "train_run", fails)
    with pytest.raises(OSError, match=str(error.args[-1])):
        main(["train", "m", "r"])


def test_a_settings_file_and_flags_over_it(tmp_path, monkeypatch):
    import dfgame.train

    file = tmp_path / "settings.toml"
    file.write_text('game = "random-blur"\nepochs = 7\nmethods = ["FaceSwap"]\n[blur]\nwindow = 5\n')
    taken = []
    monkeypatch.setattr(dfgame.train, "train_run", lambda manifest, run, config: taken.append(config) or {})
    with pytest.raises(SystemExit) as exit_:
        main(["train", "m", "r", "--config", str(file), "--epochs", "9"])
    assert exit_.value.code == 0
    assert taken == [TrainConfig(game="random-blur", epochs=9, methods=("FaceSwap",), blur=BlurConfig(window=5))]


def test_a_settings_file_of_inspect_is_no_picture(tmp_path, monkeypatch):
    import dfgame.cli.inspect_outputs

    file = tmp_path / "settings.toml"
    file.write_text("frames = 7\n")
    taken = []

    def stopped(_wanted, files, _detector, config):
        taken.append((list(files), config.frames, config.workers))
        raise UserError("enough")

    monkeypatch.setattr(dfgame.cli.inspect_outputs, "Outputs", stopped)
    with pytest.raises(SystemExit):
        main(["inspect", "a.png", "--config", str(file), "b.png", "--workers", "2"])
    assert taken == [([Path("a.png"), Path("b.png")], 7, 2)]


def test_a_misspelt_option_of_inspect_is_no_picture():
    result = run("inspect", "a.png", "--frmes", "60")
    assert result.returncode == 2 and "--frmes" in result.stderr and "failed" not in result.stdout


def test_an_unknown_key_in_a_settings_file_is_refused(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[blur]\nwindo = 5\n")
    result = run("train", "m", "r", "--config", file)
    assert result.returncode == 2 and "Did you mean --blur.window?" in result.stderr


def test_a_file_that_is_not_toml_is_one_clear_line(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("game == none")
    result = run("train", "m", "r", "--config", file)
    assert result.returncode == 2 and "Traceback" not in result.stderr and "settings.toml" in result.stderr


def test_version():
    result = run("--version")
    assert result.returncode == 0 and result.stdout.strip() == __version__


def test_a_section_of_settings_named_as_a_verb_is_refused(tmp_path):
    """No setting is in it, so that it would change nothing."""
    file = tmp_path / "settings.toml"
    file.write_text("[train]\nepochs = 7\n")
    result = run("train", "m", "r", "--config", file)
    assert result.returncode == 2 and "[train] is the name of a verb" in result.stderr


@pytest.mark.parametrize("verb", ["extract", "doctor"])
def test_help_names_every_layout(verb):
    words = " ".join(run(verb, "--help").stdout.replace("│", " ").split())
    of_layout = words.partition("--layout STR")[2].partition(" --")[0]
    assert all(layout.NAME in of_layout for layout in LAYOUTS)
