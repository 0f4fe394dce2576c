"""Writes docs/settings.md. With ``--check`` it writes nothing, and ends with exit code 1 if the page would change."""

from __future__ import annotations

import argparse
import sys

from stacks.settings.page import FREE_TEXT, PAGE, page


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stacks.settings", description="Write docs/settings.md from the fields of the settings")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page would change")
    check = parser.parse_args(arguments).check
    text = page(FREE_TEXT.read_text(encoding="utf-8"))
    if not check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"error: {PAGE.parent.name}/{PAGE.name} differs from the fields of the settings: run make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
