"""The page that ``mlit --help`` prints."""

from mlit.cli.registry import VERBS

_PAGE = """\
mlit refines cryo-electron tilt series against the molecules inside them.

usage: mlit VERB [key=value ...] [-m] [--config-dir DIR] [--cfg job] [--help]

{verbs}

A verb is steered by key=value words; `mlit VERB --help` lists its keys, config groups and defaults.
  species.diameter=280     a value
  model=fine               an option of a config group
  model=coarse,fine -m     a sweep: one run for every combination, in numbered subfolders of the output
  --config-dir DIR         a folder with own options, laid out like the shipped conf/
  --cfg job                print the config instead of running

`mlit completion bash` (or zsh) prints a script with which the shell completes verbs, keys and options.

exit codes: 0 done; 2 wrong input or config, said in one line; 130 interrupted; 1 a defect of mlit
example: mlit refine {example}"""


def overview() -> str:
    """Return the page: what there is, and how it is called."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb.name:<{width}}  {verb.summary}" for verb in VERBS.values())
    return _PAGE.format(verbs=verbs, example=VERBS["refine"].example)
