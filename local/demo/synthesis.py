"""``python -m local.demo.synthesis SETTINGS OUTPUT``: synthesise with other settings than a stage's file.

A process of its own, as ``app.py`` is: the CDK keeps a Node.js process for as long as its Python process lives.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stacks.application import build_app
from stacks.settings import Settings

if __name__ == "__main__":
    settings, output = (Path(argument) for argument in sys.argv[1:])
    build_app(Settings.model_validate(json.loads(settings.read_text(encoding="utf-8"))), output).synth()
