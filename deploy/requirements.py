"""Prints what pyproject.toml requires, with the extras that are named: `requirements.py observer,postgres`.

The image installs them before the project itself, so that a change of the project does not install them again.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text("utf-8"))["project"]
wanted = list(project["dependencies"])
for extra in filter(None, sys.argv[1].split(",")):
    wanted += project["optional-dependencies"][extra]
print("\n".join(wanted))
