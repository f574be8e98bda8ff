"""A page is a story: its blocks are run in order, in one empty folder, with what they need and no more.

| block | what is done with it |
|---|---|
| any language, with `title="path"` | becomes that file |
| `python` with tests | joins a test file, recorded and replayed before the next command or at the end |
| `python` | runs, in one namespace for the page |
| `text title="output"` | is what the block before it must have printed |
| `bash` | every command must succeed |
| `console` | every `$ command` must print what stands below it |
| `yaml`, `toml`, `ini`, `json` | must be well-formed |
| `text` | is no code: a picture, a message |

Commands find no key and no provider, but for those that call a model: `--looplet-record` and its kin, and
Python programs. They find a provider on 127.0.0.1 that says what the page's `<!-- model: … -->` tells.
In what is shown, `...` stands for any text, alone on a line for any lines; times and folders do not count.
"""

from __future__ import annotations

import configparser
import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from looplet.testing.provider import LocalProvider, script_from_json
from tests.docs.blocks import Block

HOUSE = Path(__file__).parents[2]
TEST = re.compile(r"^ *(?:async )?def test_|^class Test", re.MULTILINE)
CALLS_A_MODEL = re.compile(
    r"--looplet-(record|live|mode=(rewrite|missing|tail))|^(\w+=\S+ )*python (?!-m (pytest|looplet ))"
)
FOREIGN = ("OPENAI_", "ANTHROPIC_", "OLLAMA_", "PYTEST_", "GITHUB_", "CI", "PYTHONDONTWRITEBYTECODE", "COV_")
OTHERS_AWAY = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_ADDOPTS": "-p no:cacheprovider -p pytest_looplet.plugin",
}
"""For pytest in our own environment, which has plugins that a reader has not."""
SERVES = re.compile(r"python -m looplet\.testing\.provider (\S+) --port (\d+) &$")

CHECKED_NOT_RUN = {
    r"pip install .*pytest-looplet(\[[a-z,]+\])?": "would install from the network; the extras must exist",
    r"make [a-z-]+$": "the target must be in the Makefile",
    r"export \w+=": "a key of the reader's own",
}
"""Commands that a page may name and this does not run, and why."""


class Unlike(AssertionError):
    """A page says what is not so."""


class Story:
    """Runs the blocks of a page in *folder*.

    Args:
        programs: The folder with the `python`, `pytest` and `looplet` that commands find.
        installs: What takes the place of `pip install pytest-looplet…`; None only checks the extras.
    """

    def __init__(self, folder: Path, programs: Path, *, installs: str | None = None) -> None:
        self.folder, self.bin, self.installs = folder, programs, installs
        self.names: dict[str, object] = {"__name__": "__page__"}
        self.printed: str | None = None
        self.tests: list[str] = []
        self.prelude: list[str] = []
        self.script: object = []
        self.served: dict[str, str] = {}
        self.closing = contextlib.ExitStack()

    def run(self, blocks: Sequence[Block]) -> None:
        """Run all *blocks*; raises `Unlike` with the place of the first that does not hold."""
        with self.closing, contextlib.ExitStack() as stack:
            stack.callback(self._forget_modules)
            before = ""
            for block in blocks:
                if before != "not run":
                    self._at(block.place, lambda block=block: self._run(block))
                before = block.kind
            if blocks:
                self._at(f"{blocks[-1].place} (the tests of the page)", self._run_tests)

    def _forget_modules(self) -> None:
        for name, module in list(sys.modules.items()):
            if str(self.folder) in str(getattr(module, "__file__", "")):
                del sys.modules[name]

    @staticmethod
    def _at(place: str, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as problem:
            raise Unlike(f"{place}: {type(problem).__name__}: {problem}") from problem

    def _run(self, block: Block) -> None:
        if block.kind == "not run":
            return
        if block.kind == "model":
            self._run_tests()
            self.script = json.loads(block.text)
        elif block.title == "output":
            same(block.text, self.printed if self.printed is not None else "(nothing ran)")
        elif block.title:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        else:
            RUNS[block.kind](self, block)

    def _python(self, block: Block) -> None:
        if TEST.search(block.text):
            self.tests.append(block.text)
            return
        self.prelude.append(block.text)
        code = compile("\n" * int(block.place.rpartition(":")[2]) + block.text, block.place, "exec")
        out = io.StringIO()
        with (
            self._provider() as env,
            changed_environment(env),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
        ):
            exec(code, self.names)
        self.printed = out.getvalue()

    def _run_tests(self) -> None:
        if not self.tests:
            return
        name = "test_of_this_page.py"
        head = [part for part in self.prelude if re.search(r"^(from|import|def|class|@)", part, re.MULTILINE)]
        (self.folder / name).write_text("\n".join([*head, *self.tests]), encoding="utf-8")
        self.tests = []
        if self.script or self.served:
            self.command(f"pytest -q {name} --looplet-record --looplet-model=openai:tiny")
        self.command(f"pytest -q {name}")

    def _bash(self, block: Block) -> None:
        self._run_tests()
        for line in joined_lines(block.text):
            self.command(line)

    def _console(self, block: Block) -> None:
        self._run_tests()
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            while line.endswith("\\"):
                more, _, shown = shown.partition("\n")
                line = line[:-1] + more.removeprefix("> ")
            printed = self.command(line, may_fail=bool(shown.strip()))
            if shown.strip() and printed is not None:
                same(shown, printed)

    def command(self, line: str, *, may_fail: bool = False) -> str | None:
        """Run one command line; gives what it printed, None for one that is only checked."""
        line = bare(line)
        for pattern, _ in CHECKED_NOT_RUN.items():
            if re.match(pattern, line):
                return self._check_only(line)
        if serves := SERVES.match(line):
            return self._serve(serves[1], serves[2])
        with self._provider(wanted=bool(CALLS_A_MODEL.search(line))) as env:
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=self.folder,
                env=self.environment() | env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=120,
                check=False,
            )
        self.printed = done.stdout
        if done.returncode and not may_fail:
            raise Unlike(f"`{line}` ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done.stdout

    def _check_only(self, line: str) -> str | None:
        if line.startswith("pip install") or " pip install" in line:
            project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            for extra in re.findall(r"[a-z]+", "".join(re.findall(r"pytest-looplet\[([a-z,]+)\]", line))):
                assert extra in project["optional-dependencies"], f"there is no extra {extra!r}"
            if self.installs:
                subprocess.run(
                    [
                        str(self.bin / "python"),
                        "-m",
                        *re.sub(r"pytest-looplet", self.installs, line).replace('"', "").split(),
                    ],
                    check=True,
                    capture_output=True,
                )
        if line.startswith("make "):
            target = line.split()[1]
            assert re.search(
                rf"^{target}:", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
            ), f"the Makefile has no {target!r}"
        return None

    def _serve(self, script: str, port: str) -> str:
        """The page's own provider, in the background until the page ends, on whatever port is free."""
        command = [str(self.bin / "python"), "-m", "looplet.testing.provider", script, "--until-eof"]
        server = self.closing.enter_context(
            subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
            )
        )
        assert server.stdin
        assert server.stdout
        self.closing.callback(server.stdin.close)
        url = server.stdout.readline().strip()
        self.served = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
        return re.sub(r":\d+/", f":{port}/", url)

    def environment(self) -> dict[str, str]:
        """What a command finds: no key, no provider, 80 columns."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return kept | {
            "PATH": f"{self.bin}{os.pathsep}{kept['PATH']}",
            "COLUMNS": "80",
            "HOME": str(self.folder),
            "PYTHONIOENCODING": "utf-8",
            "NO_COLOR": "1",
            **(OTHERS_AWAY if self.installs is None else {"PYTEST_ADDOPTS": "-p no:cacheprovider"}),
        }

    @contextlib.contextmanager
    def _provider(self, wanted: bool = True) -> Iterator[dict[str, str]]:
        if not wanted or not self.script:
            yield self.served if wanted else {}
            return
        file = self.folder / ".model.json"
        file.write_text(json.dumps(self.script), encoding="utf-8")
        script = script_from_json(file)
        file.unlink()
        with LocalProvider(script) as provider:
            yield provider.env | {"OLLAMA_HOST": provider.url}
        if provider.failures:
            raise Unlike(f"the model of this page could not answer: {provider.failures[0]}")


def bare(line: str) -> str:
    """A command line without the comment behind it."""
    return re.sub(r"\s+#\s.*$", "", line).strip()


def joined_lines(text: str) -> Iterator[str]:
    """The commands of a `bash` block: without comments, continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


def same(shown: str, printed: str) -> None:
    """Compare what a page shows with what was printed."""
    wanted = []
    for line in timeless(shown).rstrip().splitlines():
        if line.strip() == "...":
            wanted.append("(?:.*\n)*?")
        else:
            wanted.append(".*?".join(re.escape(part) for part in line.rstrip().split("...")) + "\n")
    found = "\n".join(line.rstrip() for line in timeless(printed).strip("\n").splitlines()) + "\n"
    if not re.fullmatch("".join(wanted), found.lstrip("\n")):
        raise Unlike(f"shown:\n{shown}\nprinted:\n{printed[-6000:]}")


def timeless(text: str) -> str:
    """*text* with every duration the same."""
    text = re.sub(r"\b\d+\.\d+ ?s\b", "0.00s", text)
    text = re.sub(r"=+( .* )=+$", r"==\1==", text, flags=re.MULTILINE)
    return re.sub(r"\b\d+ ?ms\b", "0ms", text)


@contextlib.contextmanager
def changed_environment(env: Mapping[str, str]) -> Iterator[None]:
    """The process's environment with *env* in it, and put back."""
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _ini(text: str) -> None:
    configparser.ConfigParser(strict=True, interpolation=None).read_string(text)


READERS = {
    "yaml": lambda text: list(yaml.safe_load_all(text)),
    "toml": tomllib.loads,
    "ini": _ini,
    "json": json.loads,
}

RUNS = {
    "python": Story._python,
    "setup": Story._python,
    "bash": Story._bash,
    "console": Story._console,
    "text": lambda story, block: None,
    **{kind: (lambda story, block: READERS[block.kind](block.text)) for kind in READERS},
}
"""How a block of each kind is run. One of another kind is a KeyError, and so a red test."""


def bin_of(environment: Path) -> Path:
    """Where a virtual environment keeps its programs."""
    return environment / ("Scripts" if sys.platform == "win32" else "bin")


def quoted(*words: object) -> str:
    """*words* as one command line."""
    return shlex.join(str(word) for word in words)
