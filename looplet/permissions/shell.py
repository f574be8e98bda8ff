"""What a shell text would run, as far as that can be told without running it.

The reader knows simple commands, joined by `&&`, `||`, `;`, `|`, `&` and newlines, with quotes, escapes,
comments, plain redirections and plain variables. Everything else (substitutions, groups, loops,
here-documents, brace expansion) it does not explain, and says so.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from looplet.permissions.matcher import Unsure

LONGEST = 32_768
"""Characters of a text that is read; a longer one is not explained."""

_PIECES = re.compile(
    r"(?P<blank>[ \t]+)"
    r"|(?P<redirect>[0-9]*(?:>>|>\||<>|>&|<&|>(?!\()|<(?![<(])))"
    r"|(?P<plain>[\w@%+:,./=!^\]\-]+|[^\x00-\x7f])"
    r"|(?P<single>'[^']*')"
    r"|(?P<ansi>\$'(?:[^'\\]|\\.)*')"
    r"|(?P<double>\$?\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<joined>\\\n)"
    r"|(?P<escape>\\.)"
    r"|(?P<variable>\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\}|[0-9@*\#?$!-]))"
    r"|(?P<dollar>\$(?=[ \t\n;&|]|\Z))"
    r"|(?P<stop>&&|\|\||;(?!;)|\|(?!&)|\n|&)"
    r"|(?P<glob>[*?\[])"
    r"|(?P<brace>[{}])"
    r"|(?P<tilde>~)"
    r"|(?P<hash>\#)",
    re.DOTALL | re.ASCII,
)
_IN_DOUBLE = re.compile(r'\\(\n|[$`"\\])')
_EXPANDS_IN_DOUBLE = re.compile(r"`|\$[A-Za-z0-9_{(\[@*#?$!-]")
_VARIABLE_IN_DOUBLE = re.compile(r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\}|[0-9@*#?$!-])", re.ASCII)
_ESCAPED = re.compile(r"\\(?:(\n)|.)", re.DOTALL)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=.*", re.DOTALL | re.ASCII)
_RESERVED_WORDS = (
    "if then else elif fi do done case esac while until for select in function coproc { } ! [[ ]]"
)
_RESERVED = frozenset(_RESERVED_WORDS.split())
_ODD_COMMAND = re.compile(r"[=%~-]|.*[\]^!=%]")


@dataclass(slots=True)
class Word:
    """One word of a command, with quotes and escapes taken away.

    Attributes:
        text: The word as the program gets it, where nothing in it is expanded.
        known: Whether `text` is all of it: no variable is put into it.
        glob: Whether an unquoted `*`, `?` or `[` may stand for file names.
        home: Whether it begins with an unquoted `~`.
    """

    text: str = ""
    known: bool = True
    glob: bool = False
    home: bool = False
    plain: str = ""
    braced: bool = False
    quoted: bool = False


@dataclass(slots=True)
class Command:
    """One simple command.

    Attributes:
        words: The program and its arguments.
        assigned: Names that are set for it alone, as in `A=1 make`.
        redirected: Files it reads from or writes to by redirection.
        after: The operator before it; empty for the first.
        background: Whether the shell goes on without it.
        reads: Whether a redirection gives it something to read.
    """

    words: list[Word] = field(default_factory=list)
    assigned: list[str] = field(default_factory=list)
    redirected: list[Word] = field(default_factory=list)
    after: str = ""
    background: bool = False
    reads: bool = False

    @property
    def fed(self) -> bool:
        """Whether it reads what the command before it writes, or a file by redirection."""
        return self.reads or self.after == "|"

    def oddity(self) -> str:
        """What the command has besides plain known words, in words; empty for a plain command."""
        if self.assigned:
            return f"{self.assigned[0]}=… in front of a command changes what it does"
        if self.redirected:
            return "a redirection"
        if self.background:
            return "a command in the background"
        return next(("a variable" for word in self.words if not word.known), "")


def commands_of(text: str) -> tuple[Command, ...]:
    """The simple commands of *text*, in order.

    Raises:
        Unsure: The text cannot be explained; the message says why.
    """
    commands, problem = _read(text)
    if problem:
        raise Unsure(problem)
    return commands


@lru_cache(maxsize=64)
def _read(text: str) -> tuple[tuple[Command, ...], str]:
    try:
        return _Reader(text).read(), ""
    except Unsure as problem:
        return (), str(problem)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.commands: list[Command] = []
        self.command = Command()
        self.word: Word | None = None
        self.redirecting = False
        self.after = ""

    def read(self) -> tuple[Command, ...]:
        if len(self.text) > LONGEST:
            raise Unsure(f"a command of more than {LONGEST:,} characters")
        _check_characters(self.text)
        at = 0
        while at < len(self.text):
            at = self._piece(at)
        self._end_command("")
        if not self.commands:
            raise Unsure("there is no command in it")
        return tuple(self.commands)

    def _piece(self, at: int) -> int:
        found = _PIECES.match(self.text, at)
        if found is None or found.lastgroup is None:
            raise Unsure(f"{self.text[at : at + 8]!r} at character {at + 1}")
        kind, piece = found.lastgroup, found[0]
        if kind == "blank":
            self._end_word()
        elif kind == "stop":
            self._end_command(piece)
        elif kind == "redirect":
            self._redirect(piece)
        elif kind == "hash" and self.word is None:
            line = self.text.find("\n", at)
            return len(self.text) if line < 0 else line
        elif kind != "joined":
            self._add(kind, piece)
        elif self.word is not None and self.word.plain.isdigit():
            raise Unsure("a number that goes on in the next line")
        return found.end()

    def _add(self, kind: str, piece: str) -> None:
        if self.word is None:
            self.word = Word()
        word = self.word
        if kind in ("plain", "hash", "dollar"):
            word.text += piece
            word.plain += piece
        elif kind == "tilde":
            word.home = word.home or not word.text
            word.text += piece
        elif kind == "glob":
            word.glob = True
            word.text += piece
        elif kind == "brace":
            word.braced = True
            word.text += piece
            word.plain += piece
        elif kind == "variable":
            word.known = False
        else:
            word.quoted = True
            word.text += _unquoted(word, kind, piece)

    def _redirect(self, piece: str) -> None:
        if self.word is not None:
            # In `x""2>f` the digit belongs to the word.
            self._add("plain", piece.rstrip("<>&|"))
            self._end_word()
        if self.redirecting:
            raise Unsure("a redirection without a file")
        self.redirecting = True
        self.command.reads = self.command.reads or "<" in piece

    def _end_word(self) -> None:
        word, self.word = self.word, None
        if word is None:
            return
        if (
            word.braced
            and word.text != "{}"
            and (word.plain in "{}" or "," in word.plain or ".." in word.plain)
        ):
            raise Unsure("braces, which the shell may expand")
        if not word.text.isascii():
            _check_scripts(word.text)
        if self.redirecting:
            self.redirecting = False
            self.command.redirected.append(word)
            return
        if not self.command.words:
            name = _ASSIGNMENT.fullmatch(word.plain)
            if name:
                self.command.assigned.append(name[1])
                return
            _check_program(word)
        if word.glob and word.text == "[":
            word.glob = False
        self.command.words.append(word)

    def _end_command(self, stop: str) -> None:
        self._end_word()
        command = self.command
        if self.redirecting:
            raise Unsure("a redirection without a file")
        if command.words or command.assigned or command.redirected:
            command.background = stop == "&"
            command.after = self.after
            self.commands.append(command)
            self.after = stop
        elif stop in ("&&", "||", "|", ";", "&") or (not stop and self.after in ("&&", "||", "|")):
            raise Unsure(f"{stop or self.after!r} without a command")
        self.command = Command()


def _unquoted(word: Word, kind: str, piece: str) -> str:
    if kind == "single":
        return piece[1:-1]
    if kind == "escape":
        return piece[1:]
    if kind == "ansi":
        return _ansi(piece[2:-1])
    body = piece[2:-1] if piece[0] == "$" else piece[1:-1]
    bare = _ESCAPED.sub(lambda found: "" if found[1] else " ", body)
    if _EXPANDS_IN_DOUBLE.search(bare):
        if "`" in bare or re.search(r"\$[({\[]", _VARIABLE_IN_DOUBLE.sub("", bare)):
            raise Unsure("a substitution in double quotes")
        word.known = False
    return _IN_DOUBLE.sub(lambda found: "" if found[1] == "\n" else found[1], body)


_ANSI = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|u([0-9A-Fa-f]{1,4})|([abeEfnrtv\\'\"?]))")
_ANSI_LETTERS = dict(zip("abeEfnrtv", "\a\b\x1b\x1b\f\n\r\t\v", strict=True))


def _ansi(body: str) -> str:
    if "'" in body:
        raise Unsure("a quote in $'…', which ends there in a shell that does not know $'…'")

    def plain(found: re.Match[str]) -> str:
        hexes, octal, wide, letter = found.groups()
        if letter:
            return _ANSI_LETTERS.get(letter, letter)
        return chr(int(hexes or wide, 16) if hexes or wide else int(octal, 8) & 255)

    text = _ANSI.sub(plain, body)
    if "\0" in text or "\\" in _ANSI.sub("", body) or not text.isascii():
        raise Unsure("an escape in $'…'")
    return text


def _check_characters(text: str) -> None:
    for char in set(text):
        if char in "\t\n" or " " <= char <= "~":
            continue
        category = unicodedata.category(char)
        if category in ("Cc", "Cf", "Zs", "Zl", "Zp", "Cs", "Co", "Cn"):
            raise Unsure(f"the character U+{ord(char):04X}, which is not shown or not what it seems")
        alike = unicodedata.normalize("NFKC", char)
        if len(alike) == 1 and alike.isascii() and category != "No":
            raise Unsure(f"the character U+{ord(char):04X}, which looks like {alike!r}")


def _check_scripts(text: str) -> None:
    """Refuse a word that mixes Latin letters with look-alikes of other alphabets."""
    scripts = {_script(char) for char in text if char.isalpha()}
    if "LATIN" in scripts and scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"}:
        raise Unsure(f"letters of several alphabets in one word ({text!r:.60})")


def _script(char: str) -> str:
    return "LATIN" if char.isascii() else unicodedata.name(char, "").split(" ")[0]


def _check_program(word: Word) -> None:
    if word.glob and word.text != "[":
        raise Unsure("a pattern for file names in the place of a program")
    if not word.known:
        raise Unsure("a variable in the place of a program")
    if word.home or word.braced or not word.text or not word.text.isascii():
        raise Unsure(f"a program called {word.text!r:.60}")
    if word.text in _RESERVED or _ODD_COMMAND.match(word.text):
        raise Unsure(f"{word.text!r:.60} in the place of a program")
