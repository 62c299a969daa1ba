"""Write a spec to start from. An existing file is left as it is.

archc new my.yaml
archc analyze my.yaml
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from archc.cli.console import complain
from archc.cli.files import shown
from archc.text.atomic import write

STARTER = """\
# A network in the archc language. Run it: archc analyze {file}
# yaml-language-server: $schema=archc.schema.json      (written by: archc schema -o archc.schema.json)
archc: 1
name: {name}
doc: A small residual network for 28x28 images.
input: [1, 28, 28]                  # channels, height, width; no batch axis
params: {{classes: 10, width: 16}}    # change them: --set classes=100
expect: {{parameters: "<= 100K"}}     # archc check compares

blocks:
  residual:
    doc: Two convolutions and a way around them.
    params: {{channels: int, stride: int = 1}}
    layers:
      - add:
          body:
            - conv_bn_act: {{channels: $channels, kernel: 3, stride: $stride}}
            - conv_bn: {{channels: $channels, kernel: 3}}
          skip:
            when: ${{stride != 1 or input.channels != channels}}
            conv_bn: {{channels: $channels, stride: $stride}}
      - relu

layers:
  stem: {{conv_bn_act: {{channels: $width, kernel: 3}}}}
  stage${{i + 1}}:
    for: {{i: "${{range(3)}}"}}
    residual: {{channels: "${{width * 2 ** i}}", stride: "${{1 if i == 0 else 2}}"}}
  pool: global_avgpool
  flatten: flatten
  classifier: {{linear: $classes}}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", default="network.yaml", metavar="FILE", help="the file to write, or - for standard output")


def run(args: argparse.Namespace) -> int:
    if args.file == "-":
        print(STARTER.format(name="network", file="network.yaml"), end="")
        return 0
    if not Path(args.file).name.strip("."):
        complain(f"{shown(args.file)} is no name of a file; write one, as my.yaml")
        return 2
    path = Path(args.file if args.file.endswith((".yaml", ".yml")) else args.file + ".yaml")
    name = re.sub(r"\W+", "_", path.stem).strip("_") or "network"
    try:
        write(path, STARTER.format(name=name, file=path), new=True)
    except (FileExistsError, IsADirectoryError):
        complain(f"{shown(str(path))} already exists and was left as it is; name another file")
        return 2
    except (OSError, ValueError) as error:
        complain(f"cannot write {shown(str(path))}: {getattr(error, 'strerror', None) or error}")
        return 2
    print(f"wrote {path}; next: archc analyze {path}")
    return 0
