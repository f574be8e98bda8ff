"""Programs that run other programs, as tables."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHELLS = _words("sh bash dash zsh ksh mksh ash fish csh tcsh rbash yash pwsh")

RUNNERS = _words(
    "env sudo doas su runuser nohup nice ionice chrt taskset timeout gtimeout stdbuf setsid setarch time "
    "command builtin exec eval xargs chroot unshare nsenter prlimit strace ltrace watch busybox toybox "
    "flock script parallel find fd fdfind ssh entr chpst start-stop-daemon systemd-run pkexec gosu su-exec "
    "tini dumb-init firejail bwrap proot fakeroot coproc daemonize at batch caffeinate expect socat gdb "
    "unbuffer xvfb-run dbus-run-session uv uvx poetry pipx pipenv npx bunx pdm hatch winpty rlwrap "
    "sg newgrp numactl perf valgrind trap hash alias source . "
    "chronic setpriv runcon cpulimit cgexec torsocks torify proxychains proxychains4 nix-shell hyperfine sem "
    "nodemon dotenv"
)
"""Every word after these may be a program."""

RUNNING = {
    **dict.fromkeys(("docker", "podman", "nerdctl"), _words("exec run")),
    **dict.fromkeys(("kubectl", "oc", "lxc", "bundle", "direnv", "rbenv", "pyenv", "asdf"), _words("exec")),
    **dict.fromkeys(("conda", "mamba", "micromamba", "doppler", "op", "heroku"), _words("run")),
    "ip": _words("netns"),
    "mise": _words("exec x"),
    "nix": _words("run shell develop"),
}
"""Programs that run others under one of these sub-commands."""

TEXT_RUNNERS = _words(
    "env su runuser script flock watch parallel ssh sg trap alias at expect socat gdb tmux nix-shell "
    "hyperfine sem nodemon"
)
"""Every word after these may be a shell text."""

INLINE = re.compile(
    r"(?:python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|tclsh|osascript|rscript|r|octave|gnuplot|dc|julia|guile|scala|"
    r"groovy|erl|elixir|ghci?|sqlite3|psql|mysql)[0-9.]*"
)
INLINE_OPTION = re.compile(
    r"-[A-Za-z0-9]*[ceErpPR]|-[ceE].+|-[A-Za-z]*[cer].*[\s;()'\"].*"
    r"|--(?:eval|exec|print|command|run)(?:=.*)?|eval|-",
    re.DOTALL,
)
VALUED_OPTION = re.compile(r"-[WXIdMQ]|--(?:require|import|loader|define)")
"""Options whose value is the next word."""

AWK_RUNS = re.compile(r"system|\||getline|@\s*(?:\w+\s*\(|load|include)")
AWK_OPENS = re.compile(AWK_RUNS.pattern + r"|ARG|SYMTAB|print.*>", re.DOTALL)
"""With these, awk opens files whose names it may put together."""

_SED_ADDRESS = r"(?:[0-9]++(?:~[0-9]++)?+|\$|/(?:\\.|[^/\\\n])*+/[IM]*+)"
_SED_PART = r"(?:\\.|(?!(?P=edge)).)*+(?P=edge)"
_SED_COMMAND = (
    rf"[dDgGhHlnNpPx=zF]|[qQ][0-9]*+|[sy](?P<edge>[^\w\s\\]){_SED_PART}{_SED_PART}[gpiIMm0-9]*+"
    r"|[aic][\\ ](?:\\.|[^\n\\])*+|[btT:] *+\w*+"
)


def _sed_script(commands: str) -> re.Pattern[str]:
    # Nothing in it is tried twice, so that time stays linear in the script.
    return re.compile(
        rf"(?:[\s;}}]*+(?:{_SED_ADDRESS}(?:,[+~]?+{_SED_ADDRESS})?+)?+\s*+!?+\s*+"
        rf"(?:\{{|(?:{commands})(?=\s*+(?:[;}}]|\Z)|[^\S\n]*+\n)))*+[\s;}}]*+",
        re.DOTALL,
    )


SED_PLAIN = _sed_script(_SED_COMMAND + r"|[rwRW] [^\n]++")
"""A script for sed without the command and the flag that run a program."""

SED_PATHLESS = _sed_script(_SED_COMMAND)
"""The same without the commands that read and write files."""

_TOLD = {
    "git": r"--upload-pack.*|--receive-pack.*|-O.*|--open-files-in-pager.*|--exec.*|--extcmd.*"
    r"|foreach|bisect|filter-branch|difftool|mergetool|daemon",
    "tar": r"-I.*|--use-compress-program.*|--to-command.*|--checkpoint-action.*|--rsh-command.*|-[A-Za-z]*F"
    r"|--info-script.*|--new-volume-script.*",
    "find": r"-exec|-execdir|-ok|-okdir|-delete|-fprint.*|-fls",
    "fd": r"-[A-Za-z]*[xX]|--exec.*",
    "fdfind": r"-[A-Za-z]*[xX]|--exec.*",
    "rsync": r"-[A-Za-z]*e.*|--rsh.*|--rsync-path.*",
    "vim": r"-c|--cmd|-S|\+.*|-s",
    **dict.fromkeys(
        ("vi", "view", "ex", "vimdiff", "gvim", "rvim", "rview", "less", "more"), r"-c.*|--cmd|-S|\+.*|-s"
    ),
    "sqlite3": r"\s*\.(?:shell|system|load|read|import|once|output)\b.*",
    "nvim": r"-c|--cmd|-S|\+.*|-s|-l",
    "emacs": r"--eval.*|--execute.*|-l|--load.*|-f|--funcall.*|--script.*",
    "man": r"-P.*|--pager.*|-H.*|--html.*",
    "sort": r"--compress-program.*",
    "zip": r"-[A-Za-z]*TT.*|--unzip-command.*",
    "make": r"--eval.*|SHELL=.*|-E.*",
    "cmake": r"-E|-P",
    "scp": r"-S|-o.*",
    "sftp": r"-S|-o.*",
    "nc": r"-[a-z]*[ec].*",
    "ncat": r"-[a-z]*[ec].*|--exec.*|--sh-exec.*",
    "split": r"--filter.*",
    "npm": r"exec|x|explore",
    "yarn": r"dlx|exec",
    "pnpm": r"dlx|exec",
    "cargo": r"--config.*",
    "go": r"-exec.*|-toolexec.*",
    "tcpdump": r"-z.*",
    "tmux": r".*",
    "screen": r".*",
}
OPTIONS = {name: re.compile(pattern, re.DOTALL) for name, pattern in _TOLD.items()}
"""Options and sub-commands with which a program runs others, or acts beyond what its name says."""

LONG_OPTIONS = {name: re.findall(r"--[a-z-]{3,}", pattern) for name, pattern in _TOLD.items()}
"""The long ones among `OPTIONS`, which most programs also take in any shorter form that is clear."""

GIT_TOLD = {
    "rebase": re.compile(r"-x"),
    "difftool": re.compile(r"-x"),
    "clone": re.compile(r"-u"),
    "config": re.compile(
        r"(?i)(?:alias|filter)\.|[\w-]+\.\S*(?:pager|editor|command|cmd|helper|hookspath|fsmonitor|textconv|driver"
        r"|program|askpass)"
    ),
}
"""How options and values of sub-commands of git begin with which it runs another program, now or later."""

BUILTINS = _words("alias hash trap enable shopt set bind complete declare typeset local readonly fc")
RISKY_NAMES = re.compile(
    r"PATH|IFS|ENV|BASH_ENV|SHELL\w*|PS4|PROMPT_COMMAND|LD_\w*|DYLD_\w*|GIT_\w*|\w*PAGER|\w*EDITOR|VISUAL|"
    r"BROWSER|LESSOPEN|LESSCLOSE|PYTHON\w*|PERL\w*|RUBY\w*|NODE_\w*|\w*_COMMAND|GCONV_PATH|RUSTC\w*|CC|CXX"
)

BLIND = _words("xargs parallel eval source . cpio alias trap")
"""Programs whose places stand in what they read, or in a text."""

LISTED = {
    "tar": re.compile(r"-[A-Za-z]*[TP].*|--files.*|--abs.*", re.DOTALL),
    **dict.fromkeys(("sed", "gsed"), re.compile(r"-[nrEsuz]*f.*|--fi.*", re.DOTALL)),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), re.compile(r"-[fEil].*|--(?:fi|ex|inc|l).*", re.DOTALL)),
    **dict.fromkeys(("wc", "sort", "du"), re.compile(r"--files0.*", re.DOTALL)),
    "find": re.compile(r"-files0-from"),
    "git": re.compile(r"--stdin-p.*"),
    "zip": re.compile(r"-[^-]*@.*"),
    "rsync": re.compile(r"--files-from.*", re.DOTALL),
    "curl": re.compile(r"-[^-]*K.*|--conf.*", re.DOTALL),
    "wget": re.compile(r"-[A-Za-z]*i.*|--in.*", re.DOTALL),
}
"""Options with which a program takes the names of files from a list, an archive or a script."""

_FOLLOWING = {
    **dict.fromkeys(("grep", "egrep", "fgrep", "zgrep"), r"-[A-Za-z]*R.*|--de.*"),
    "diff": r"-[A-Za-z]*r.*|--rec.*",
    "find": r"-L|-follow",
    **dict.fromkeys(("cp", "ls", "du", "chown", "chgrp", "chmod"), r"-[A-Za-z]*L.*|--de.*"),
    **dict.fromkeys(("rg", "fd", "fdfind"), r"-[A-Za-z]*L.*|--follow"),
    "rsync": r"-[A-Za-z]*[Lk].*|--copy.*",
    "tar": r"-[A-Za-z]*h.*|--de.*",
    "tree": r"-[A-Za-z]*l.*",
    "zip": r"-[A-Za-z]*[rR].*|--rec.*",
}
FOLLOWING = {name: re.compile(pattern, re.DOTALL) for name, pattern in _FOLLOWING.items()}
"""Options with which a program goes into what links in its folders lead to."""
