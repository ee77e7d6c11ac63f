"""Texts for a terminal and a shell: what neither obeys, and the library's words in those of the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from shlex import quote

__all__ = ["error_in_words", "in_words_of_options", "printable", "quoted", "quoted_path"]

# What a terminal would obey: control characters, marks that turn the direction of text, halves of characters.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# Messages of the library name its arguments; on the command line these are called otherwise.
_OPTIONS = ("tasks", "drop", "missing", "categorical", "separator", "decimal", "sheet")
_ARGUMENT = re.compile(rf"^(\s*\d+\. |- |)(targets|features|keep|{'|'.join(_OPTIONS)}|n_components)\b", re.MULTILINE)
_PATH = re.compile(r"^path\b", re.MULTILINE)
_KEYWORDS = {"n_components": "--n-components", "n_checks": "--checks", "target_type": "--target-type"}
_KEYWORDS |= {name: f"--{name}" for name in (*_OPTIONS, "order", "regressor", "impute")}
_REPLICATES = re.compile(r"MTRN\(n_replicates=(\d+)\)")
# The network by the name of its class, where it is advised.
_NETWORK = re.compile(r"\b([Uu]se|[Pp]ass) MTRN\b(?!\()")
_TARGETS = re.compile(r"^(\s*\d+\. |- |)y (?=contains\b)", re.MULTILINE)
_LITERAL = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_KEYWORD = re.compile(rf"\b({'|'.join(_KEYWORDS)})=({_LITERAL})?")


def printable(text: str) -> str:
    """Return a text in which what a terminal would obey is written out, such as \\x1b."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def quoted(text: str) -> str:
    """Return a name as a shell takes it; what a terminal would obey is written out, as the shell reads it back."""
    if printable(text) != text or "\n" in text:
        escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
        return f"$'{_OBEYED.sub(lambda found: _for_shell(ord(found[0])), escaped)}'"
    return text if text.replace("_", "").replace(",", "").isalnum() else quote(text)


def quoted_path(path: str | Path) -> str:
    """Return a file's name as an argument of a command: one that starts with a dash would be taken for an option."""
    text = str(path)
    return quoted(f"./{text}" if text.startswith("-") else text)


def in_words_of_options(text: str) -> str:
    """Return what the library says of its keywords with the options of the command line in their place."""
    text = _NETWORK.sub(r"\1 --regressor mtrn", _REPLICATES.sub(r"--replicates \1", text))
    return _KEYWORD.sub(_option, text)


def error_in_words(text: str) -> str:
    """Return the message of an error, which starts with the name of an argument, in words of the command line."""
    text = _ARGUMENT.sub(lambda found: f"{found[1]}--{found[2].replace('_', '-')}", text)
    return in_words_of_options(_TARGETS.sub(r"\1--targets ", _PATH.sub("DATA", text)))


def _option(found: re.Match[str]) -> str:
    """Return an option for a keyword, and for a text that Python writes after it what a shell takes, in quotes."""
    option = _KEYWORDS[found[1]]
    if found[2] is None:
        # Another value may follow, or the sentence goes on.
        return option if found.end() == len(found.string) or found.string[found.end()] in ";,.) \n" else f"{option} "
    text = ast.literal_eval(found[2])
    return f"{option} {quoted(text) if quoted(text) != text else repr(text)}"


def _for_shell(code: int) -> str:
    """Write a character as bash reads it between quotes after a dollar: a byte that is no UTF-8 as a byte."""
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
