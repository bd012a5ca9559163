"""Reads Rust just well enough for the checks beside this file: where comments, strings and functions are."""

import re
import subprocess

_TOKEN = re.compile(
    r"""(?P<line>//[^\n]*)
    |(?P<block>/\*.*?\*/)
    |(?P<string>b?c?r(?P<hashes>\#*)".*?"(?P=hashes)|b?c?"(?:\\.|[^"\\])*")
    |(?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^\\'\n])')""",
    re.VERBOSE | re.DOTALL,
)
_FUNCTION = re.compile(r"\bfn\s+(\w+)")


def tracked(*suffixes):
    """The repository's files with these endings, tracked or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"],
        check=True, capture_output=True, text=True,
    )
    return [path for path in listed.stdout.splitlines() if path.endswith(suffixes)]


def blanked(text, keep_strings=False):
    """`text` with comments (and strings, unless kept) replaced by blanks; every line stays where it was."""

    def blank(match):
        if keep_strings and not (match["line"] or match["block"]):
            return match[0]
        return re.sub(r"[^\n]", " ", match[0])

    return _TOKEN.sub(blank, text)


def functions(text):
    """(name, first line, number of lines) of every function with a body."""
    code = blanked(text)
    for match in _FUNCTION.finditer(code):
        end = _body_end(code, match.end())
        if end is not None:
            first = code.count("\n", 0, match.start()) + 1
            yield match[1], first, code.count("\n", match.start(), end) + 1


def _body_end(code, at):
    """Where the body of the function whose name ends at `at` ends; None: it has no body."""
    depth = 0
    for place in range(at, len(code)):
        char = code[place]
        if char == ";" and depth == 0:
            return None
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if char == "}" and depth == 0:
                return place
            if depth < 0:
                return None
    return None
