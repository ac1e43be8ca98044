"""Completion in bash, zsh and fish: one marked block in the shell's start file, put in and taken out.

The block holds the whole function, so that opening a shell starts no process; only Tab does.
"""

from __future__ import annotations

import os
from pathlib import Path

from labwright.runs.errors import CommandError

BEGIN, END = "# >>> labwright completion >>>", "# <<< labwright completion <<<"

_BASH = r"""
_labwright() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        case $line in *[=/.]) compopt -o nospace ;; esac
        COMPREPLY+=("$(printf '%q' "$line")")
    done < <("${1/#\~/$HOME}" __complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -F _labwright labwright
"""

_ZSH = r"""
_labwright() {
    local line value
    local -a whole whole_help open open_help
    for line in "${(@f)$("${(e)words[1]/#\~/$HOME}" __complete zsh "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        value=${line%%$'\t'*}
        [[ -n $value ]] || continue
        if [[ $value == *[=/.] ]]; then
            open+=("$value"); open_help+=("$value  ${line#*$'\t'}")
        else
            whole+=("$value"); whole_help+=("$value  ${line#*$'\t'}")
        fi
    done
    (( $#open )) && compadd -l -S '' -d open_help -- "${open[@]}"
    (( $#whole )) && compadd -l -d whole_help -- "${whole[@]}"
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _labwright labwright
"""

_FISH = r"""
function __labwright_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    $words[1] __complete fish $words "$current" 2>/dev/null
end
complete -c labwright -f -a '(__labwright_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: str) -> str:
    """The marked block for a shell."""
    return f"{BEGIN}\n{SCRIPTS[shell].strip()}\n{END}\n"


def start_file(shell: str) -> Path:
    """The file that the shell reads when it starts."""
    home = Path.home()
    if shell == "zsh":
        return Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    if shell == "fish":
        return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish" / "completions" / "labwright.fish"
    return home / ".bashrc"


def shell_in_use() -> str:
    """The login shell.

    Raises:
        CommandError: it is none of those we know.
    """
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SCRIPTS:
        raise CommandError(
            f"the shell in use is {name or 'not known'}", where="labwright complete", todo=f"Name one of {', '.join(SCRIPTS)}."
        )
    return name


def install(path: Path, block: str) -> bool:
    """Put the block into the file, in place of one that is there; whether that changed anything."""
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    head, found, tail = _parted(before)
    if not found and head and not head.endswith("\n"):
        head += "\n"
    return _write(path, before, head + block + tail)


def uninstall(path: Path) -> bool:
    """Take the block out of the file, and the file away where nothing else is in it; whether there was one."""
    if not path.is_file():
        return False
    before = path.read_text(encoding="utf-8")
    head, found, tail = _parted(before)
    if found and not (head + tail).strip():
        path.unlink()
        return True
    return _write(path, before, head + tail)


def _parted(content: str) -> tuple[str, bool, str]:
    """What stands before and after the block, and whether there is one."""
    head, begin, rest = content.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        return content, False, ""
    return head, True, tail.removeprefix("\n")


def _write(path: Path, before: str, after: str) -> bool:
    if before == after:
        return False
    # The file may be a link into a folder of dotfiles: write through it instead of putting a file in its place.
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.labwright-{os.getpid()}")
    temporary.write_text(after, encoding="utf-8")
    if path.is_file():
        temporary.chmod(path.stat().st_mode)
    os.replace(temporary, path)
    return True
