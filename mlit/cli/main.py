"""Entry point of the command line."""

import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version

from mlit.cli.arguments import parse_arguments
from mlit.cli.completion import COMMAND, completion
from mlit.cli.overview import overview
from mlit.cli.registry import VERBS, Verb, find_verb
from mlit.errors import InputError

# Hydra takes a good part of a second to import, so what needs it is imported only once a verb is known.


def main() -> int:
    """Run the command that was typed.

    Returns
    -------
    int
        Exit code: 0 done, 1 a defect of mlit, 2 wrong input or config, 130 interrupted.
    """
    words = sys.argv[1:]
    try:
        return _dispatch(words)
    except InputError as error:
        print(f"mlit: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nmlit: interrupted; {_advice(words)}: {shlex.join(['mlit', *words])}", file=sys.stderr)
        return 130


def _advice(words: Sequence[str]) -> str:
    """Say what typing the same command again does."""
    resumes = bool(words) and words[0] in VERBS and VERBS[words[0]].resumes
    return "go on where it stopped with" if resumes else "start again with"


def _dispatch(words: Sequence[str]) -> int:
    """Print help, or run a verb."""
    if not words:
        raise InputError(f"name a command: {', '.join(VERBS)}; see mlit --help")
    if words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"mlit {version('mlit')}")
        return 0
    if words[0] == COMMAND:
        print(completion(words[1] if len(words) == 2 else ""), end="")
        return 0
    _run(find_verb(words[0]), words[1:])
    return 0


def _run(verb: Verb, words: Sequence[str]) -> None:
    """Check the words of a verb, then print its help or run it."""
    arguments = parse_arguments(words)
    from mlit.cli.composer import Composer
    from mlit.cli.launch import launch
    from mlit.cli.search import sweep_size
    from mlit.cli.validation import validated_overrides
    from mlit.cli.verb_help import verb_help

    composer = Composer(verb.name, arguments.config_dir)
    complete = not (arguments.help or arguments.show)
    overrides = validated_overrides(composer, arguments.overrides, arguments.multirun, complete)
    if arguments.help:
        print(verb_help(verb, composer, overrides))
    else:
        launch(verb, arguments, overrides, sweep_size(composer, overrides))
