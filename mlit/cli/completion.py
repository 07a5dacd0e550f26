"""What a shell offers when Tab is pressed: a script for bash or zsh, with every verb, key and option in it."""

from collections.abc import Callable, Iterable

from mlit.cli.registry import VERBS
from mlit.errors import InputError

COMMAND = "completion"
_OPTIONS = ("--help", "--config-dir", "--cfg", "-m")

_BASH = """\
# Completion of mlit for bash: mlit completion bash > ~/.local/share/bash-completion/completions/mlit
_mlit() {{
    local line=${{COMP_LINE:0:COMP_POINT}} words verb current prefix
    read -r -a words <<< "$line"
    [[ $line == *" " ]] && words+=("")
    verb=${{words[1]}} current=${{words[-1]}} COMPREPLY=()
    local offered
    if (( ${{#words[@]}} <= 2 )); then
        offered="{verbs}"
    else
        case $verb in
{cases}
            *) offered="" ;;
        esac
    fi
    # bash replaces only what follows the last = or : of the word
    prefix=${{current%"${{current##*[=:]}}"}}
    local found
    while read -r found; do
        [[ -n $found ]] && COMPREPLY+=("${{found#"$prefix"}}")
    done < <(compgen -W "$offered" -- "$current")
    if [[ ${{#COMPREPLY[@]}} -eq 0 && $current == *=* ]]; then
        while read -r found; do COMPREPLY+=("$found"); done < <(compgen -f -- "${{current##*=}}")
        compopt -o filenames 2> /dev/null
    fi
    [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace 2> /dev/null
    return 0
}}
complete -F _mlit mlit
"""

_ZSH = """\
#compdef mlit
# Completion of mlit for zsh: mlit completion zsh > a file _mlit in a folder of $fpath
_mlit() {{
    local -a offered
    if (( CURRENT == 2 )); then
        offered=({verbs})
        compadd -a offered
        return
    fi
    case ${{words[2]}} in
{cases}
    esac
    compadd -S '' -M 'r:|.=* r:|=*' -- ${{(M)offered:#*=}}
    compadd -- ${{offered:#*=}}
    if [[ $PREFIX == *=* ]]; then
        compset -P '*='
        _files
    fi
}}
# read from a folder of $fpath, the file itself is the function; else it is told to zsh here
if [[ $funcstack[1] == _mlit ]]; then _mlit "$@"; else compdef _mlit mlit; fi
"""

_CASES: dict[str, tuple[str, Callable[[str, str], str]]] = {
    "bash": (_BASH, lambda verb, offered: f'            {verb}) offered="{offered}" ;;'),
    "zsh": (_ZSH, lambda verb, offered: f"        {verb}) offered=({offered}) ;;"),
}


def completion(shell: str) -> str:
    """Return the script for a shell.

    Raises
    ------
    InputError
        If there is none.
    """
    if shell not in _CASES:
        raise InputError(f"completion takes {' or '.join(_CASES)}, not {shell!r}: mlit completion bash")
    script, case = _CASES[shell]
    cases = "\n".join(case(verb, " ".join(offered_words(verb))) for verb in VERBS)
    return script.format(verbs=" ".join((*VERBS, COMMAND, "--help", "--version")), cases=cases)


def offered_words(verb: str) -> list[str]:
    """Words that can follow a verb: options of its config groups, keys with ``=``, and switches."""
    from mlit.cli.composer import Composer
    from mlit.cli.config_folder import group_options
    from mlit.cli.kinds import walk

    composer = Composer(verb)
    with composer.ready():
        composed = composer.compose([])
    options = [f"{group}={option}" for group in composed.choices for option in group_options(composer.folders, group)]
    leaves = [f"{key}=" for key, value in walk(composed.values) if not (isinstance(value, dict) and value)]
    return [*_plain(options), *_plain(leaves), *_OPTIONS]


def _plain(words: Iterable[str]) -> list[str]:
    """Leave out what Hydra keeps for itself, and what a shell would have to quote."""
    return sorted({word for word in words if "_target_" not in word and not word.startswith("hydra")})
