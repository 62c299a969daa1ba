"""The options by which a command changes the recipe of a spec: --data, --epochs, --lr, …, --recipe FILE, --train KEY=VALUE."""

from __future__ import annotations

import argparse

from archc.elaborate.recipe.overrides import Override

# Each option with what it sets, its metavar and its help.
OPTIONS: dict[str, tuple[str, str, str]] = {
    "--data": ("data", "NAME|PATH", "the images: a set that ships (digits), or a path"),
    "--batch": ("batch", "N|fit", "images of an optimizer's step; fit: as many as memory takes"),
    "--epochs": ("epochs", "N", "how often all training images are seen"),
    "--optimizer": ("optimizer", "NAME", "sgd, momentum, nesterov, adam, adamw, rmsprop, …"),
    "--lr": ("optimizer.lr", "RATE", "the optimizer's learning rate"),
    "--weight-decay": ("optimizer.weight_decay", "X", "the optimizer's weight decay"),
    "--schedule": ("schedule", "NAME", "of the learning rate: constant, step, cosine, one_cycle, plateau, …"),
    "--warmup": ("warmup", "EPOCHS", "epochs in which the learning rate rises"),
    "--loss": ("loss", "NAME", "cross_entropy, bce or mse"),
    "--precision": ("precision", "NAME", "float32, bf16, fp16 or float64"),
    "--accumulate": ("accumulate", "N", "forward and backward passes in one optimizer step"),
    "--seed": ("seed", "N", "determines the order of images and everything random"),
    "--strategy": ("strategy", "NAME", "how several processes share the work: auto, single, ddp or fsdp"),
    "--checkpoint": (
        "checkpoint",
        "PLAN",
        "run parts again in backward to keep less until then: norms, blocks, none, or a file with a plan",
    ),
    "--save-every": ("save_every", "STEPS", "checkpoints besides those after each epoch"),
}
# Options that may stand several times: together they are one list.
LISTS: dict[str, tuple[str, str, str]] = {
    "--augment": ("augment", "NAME", "what is done to training images at random, as flip or '{crop: {padding: 4}}'; may be repeated"),
    "--freeze": ("freeze", "PATTERN", "tensors that stay as they are, as 'layer[1-3].*'; may be repeated"),
}


def recipe_options(parser: argparse.ArgumentParser) -> None:
    """All of them, in a group of their own."""
    group = parser.add_argument_group("recipe", "in place of what the spec's `train` says; values are written as in a spec")
    for option, (_, metavar, meaning) in OPTIONS.items():
        group.add_argument(option, metavar=metavar, help=meaning)
    for option, (_, metavar, meaning) in LISTS.items():
        group.add_argument(option, metavar=metavar, action="append", default=[], help=meaning)
    group.add_argument("--recipe", metavar="FILE.yaml", help="settings from a file, before all options")
    group.add_argument(
        "--train", action="append", default=[], metavar="KEY=VALUE", help="any key of `train`, or a part: stop=10, optimizer.momentum=0.95"
    )


def overrides(args: argparse.Namespace) -> list[str | Override]:
    """What the options set: --train first, so that an option of its own goes before it."""
    found: list[str | Override] = list(args.train)
    for option, (path, _, _) in OPTIONS.items():
        text = getattr(args, option.removeprefix("--").replace("-", "_"))
        if text is not None:
            found.append(Override(option, path, text))
    for option, (path, _, _) in LISTS.items():
        texts = getattr(args, option.removeprefix("--"))
        if texts:
            found.append(Override(option, path, _join_values(path, texts)))
    return found


def _join_values(path: str, texts: list[str]) -> str:
    """Several options as one list; a pattern such as `*.bias` is quoted, since YAML has a meaning for the star."""
    from archc.text.writing import text_of

    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        return texts[0]
    return "[" + ", ".join(map(text_of, texts) if path == "freeze" else texts) + "]"
