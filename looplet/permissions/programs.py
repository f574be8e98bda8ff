"""Programs that run other programs, as tables."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHELLS = _words(
    "sh bash dash zsh ksh mksh ash fish csh tcsh rbash yash pwsh "
    "ksh93 lksh posh oksh hush sash elvish nu osh powershell"
)

RUNNERS = _words(
    "env sudo doas su runuser nohup nice ionice chrt taskset timeout gtimeout stdbuf setsid setarch time "
    "command builtin exec eval xargs chroot unshare nsenter prlimit strace ltrace watch busybox toybox "
    "flock script parallel find fd fdfind ssh entr chpst start-stop-daemon systemd-run pkexec gosu su-exec "
    "tini dumb-init firejail bwrap proot fakeroot coproc daemonize at batch caffeinate expect socat "
    "unbuffer xvfb-run dbus-run-session uv uvx poetry pipx pipenv npx bunx pdm hatch winpty rlwrap "
    "sg newgrp numactl perf valgrind trap hash alias source . "
    "chronic setpriv runcon cpulimit cgexec torsocks torify proxychains proxychains4 nix-shell hyperfine sem "
    "nodemon dotenv linux32 linux64 i386 x86_64 uname26 ld.so ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 "
    "ld-linux.so.2 ld-musl-x86_64.so.1 ssh-agent logsave choom uclampset coresched capsh aa-exec "
    "sandbox-exec eatmydata faketime catchsegv systemd-cat systemd-inhibit systemd-nspawn run0 dzdo "
    "softlimit envdir envuidgid setuidgid setlock pgrphack ifne pee mispipe lckdo zrun dtach abduco "
    "gtime gnice gnohup genv "
    "gstdbuf gxargs gfind watchexec reflex cross-env env-cmd concurrently rsh pssh lxc-attach lxc-execute "
    "wine cmd start repeat noglob nocorrect enter toolbox distrobox flatpak-spawn multipass proxychains-ng"
)
"""Every word after these may be a program."""

RUNNING = {
    **dict.fromkeys(("docker", "podman", "nerdctl", "docker-compose", "ctr"), _words("exec run")),
    **dict.fromkeys(
        (
            "lxc",
            "incus",
            "bundle",
            "direnv",
            "rbenv",
            "pyenv",
            "asdf",
            "crictl",
            "aws-vault",
            "chamber",
            "nvm",
        ),
        _words("exec"),
    ),
    **dict.fromkeys(("aws-vault", "opam", "stack", "cabal", "fnm", "jenv", "tox"), _words("exec")),
    **dict.fromkeys(("kubectl", "oc"), _words("exec run debug")),
    **dict.fromkeys(("conda", "mamba", "micromamba", "doppler", "op", "heroku"), _words("run")),
    **dict.fromkeys(
        ("coverage", "rye", "pixi", "volta", "rustup", "flatpak", "foreman", "honcho"), _words("run")
    ),
    **dict.fromkeys(("apptainer", "singularity"), _words("exec run shell")),
    "rvm": _words("do exec"),
    "ip": _words("netns"),
    "mise": _words("exec x"),
    "nix": _words("run shell develop"),
}
"""Programs that run others under one of these sub-commands."""

TEXT_RUNNERS = _words(
    "env su runuser script flock watch parallel ssh sg trap alias at expect socat tmux nix-shell "
    "hyperfine sem nodemon strace concurrently rsh capsh genv cmd"
)
"""Every word after these may be a shell text."""

INLINE = re.compile(
    r"(?:python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|tclsh|osascript|rscript|r|octave|gnuplot|dc|julia|guile|scala|"
    r"groovy|erl|elixir|iex|ghci?|sqlite3|psql|mysql|mariadb|duckdb|raku|racket|sbcl|clisp|clojure|bb|ocaml|"
    r"ipython|jython|py|pythonw|micropython|ts-node|tsx|qjs|mongosh?|kotlin|jshell|crystal|irb|pry|xonsh|"
    r"m4|ed|red|wish|bpftrace)[0-9.]*"
)
INLINE_OPTION = re.compile(
    r"-[A-Za-z0-9]*[ceErpPR]|-[ceE].+|-[A-Za-z]*[cer].*[\s;()'\"].*|-[acfhlnpstTuUvw0-9]*[eE].*"
    r"|-[mM]\w*[\s;({].*|--(?:eval|exec|print|command|run)(?:=.*)?|eval|-|.*\bdata:.*",
    re.DOTALL,
)
INLINE_MODULE = re.compile(r"timeit|pdb|code|asyncio|idlelib|IPython|ipdb|ptpython|bpython")
STARTING_MODULE = re.compile(r"cProfile|profile|trace|runpy")
"""Modules of Python that start another; those before run a text which is given to them, or that they read."""
VALUED_OPTION = re.compile(r"-[WXIdMQ]|--(?:require|import|loader|define|check-hash-based-pycs)")
"""Options whose value is the next word."""
NO_CODE = re.compile(r"-(?:-?version|-?help|-test|-list|-ini|-info|V+|h|\?)")
"""Options with which an interpreter runs nothing."""
SCRIPTED = re.compile(r"(?:python|pythonw|pypy|perl|ruby|node|nodejs|php|lua|tclsh)[0-9.]*")
"""Interpreters whose first operand is a program."""
STANDARD_INPUT = re.compile(r"/dev/(?:stdin|fd/\d+)|/proc/(?:self|thread-self|\d+)/fd/\d+")
FROM_FILE = _words("awk gawk mawk nawk sed gsed make gmake")
"""Programs that take a script from a file, which may be what they read."""
READERS = _words(
    "ex vi vim nvim view gvim su newgrp sg script fakeroot ssh rsh sftp ftp telnet chroot unshare nsenter "
    "runuser setarch linux32 linux64 at batch gdb expect lldb bc"
) | _words("m4 ed red sqlite3 duckdb psql mysql mariadb mongo mongosh")
"""Programs that run commands which they read from their standard input."""

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
    r"|foreach|bisect|filter-branch|difftool|mergetool|daemon|remote-ext|--sendmail-cmd.*|--smtp-server.*|ext::.*",
    "tar": r"-[A-Za-z]*[IF].*|--use-compress-program.*|--to-command.*|--checkpoint-action.*|--rsh-command.*"
    r"|--info-script.*|--new-volume-script.*|--rmt-command.*",
    "find": r"-exec|-execdir|-ok|-okdir|-delete|-fprint.*|-fls",
    "fd": r"-[A-Za-z]*[xX]|--exec.*",
    "fdfind": r"-[A-Za-z]*[xX]|--exec.*",
    "rsync": r"-[A-Za-z]*e.*|--rsh.*|--rsync-path.*",
    **dict.fromkeys(
        ("vim", "vi", "view", "ex", "vimdiff", "gvim", "rvim", "rview"), r"-[A-Za-z]*[cS].*|--cmd.*|\+.*|-s"
    ),
    **dict.fromkeys(("less", "more"), r"\+.*|-k.*|--lesskey.*"),
    "run-parts": r"(?!--(?:version|help|test|list)).*",
    "gdb": r"(?!--?(?:version|help)).*",
    **dict.fromkeys(
        ("gcc", "g++", "cc", "c++", "clang", "clang++"),
        r"--?wrapper.*|--?specs.*|-fplugin.*|-B.*",
    ),
    "jobs": r"-x",
    **dict.fromkeys(("mapfile", "readarray", "compgen"), r"-[A-Za-z]*[CF].*"),
    "rpm": r"-E.*|--eval.*|--pipe.*",
    "dpkg": r"--(?:pre|post)-invoke.*",
    **dict.fromkeys(("apt", "apt-get"), r"-[A-Za-z]*o.*|--option.*"),
    "hg": r"--config.*",
    "svn": r"--(?:config-option|diff-cmd|editor-cmd|diff3-cmd).*",
    "wget": r"--use-askpass.*|-e.*|--execute.*",
    "nano": r"-s.*|--speller.*",
    "sqlite3": r"(?i)\s*\.(?!(?:tables|schema|dump|headers?|mode|databases|ind\w+|quit|exit|help|show)\b).*"
    r"|.*\b(?:edit|load_extension)\s*\(.*|-init.*",
    "nvim": r"-c|--cmd|-S|\+.*|-s|-l",
    "emacs": r"--?eval.*|--execute.*|-l|--load.*|-f|--funcall.*|--script.*",
    "man": r"-P.*|--pager.*|-H.*|--html.*",
    "sort": r"--compress-program.*",
    "zip": r"-[A-Za-z]*TT.*|--unzip-command.*",
    "make": r"--eval.*|SHELL\W*=.*|-E.*|.*\$[({].*|.*!=.*|(?:GNU)?MAKEFLAGS\W*=.*|\.SHELLFLAGS.*",
    "cmake": r"-E|-P",
    **dict.fromkeys(("scp", "sftp"), r"-[46ABCaNfpqrTv]*[SoD].*"),
    "nc": r"-[a-z]*[ec].*",
    "ncat": r"-[a-z]*[ec].*|--exec.*|--sh-exec.*",
    "split": r"--filter.*",
    "npm": r"exec|x|explore|--(?:script-shell|git|editor|viewer|node-options).*",
    "yarn": r"dlx|exec",
    "pnpm": r"dlx|exec",
    "cargo": r"--config.*",
    "go": r"--?exec.*|--?toolexec.*|--?vettool.*",
    "tcpdump": r"-z.*",
    "tmux": r".*",
    "screen": r".*",
}
OPTIONS = {name: re.compile(pattern, re.DOTALL) for name, pattern in _TOLD.items()}
"""Options and sub-commands with which a program runs others, or acts beyond what its name says."""

LONG_OPTIONS = {name: re.findall(r"--[a-z-]{3,}", pattern) for name, pattern in _TOLD.items()}
"""The long ones among `OPTIONS`, which most programs also take in any shorter form that is clear."""

GIT_TOLD = {
    "rebase": re.compile(r"-[a-zA-Z]*x"),
    "clone": re.compile(r"-[a-zA-Z]*[uc]|--conf"),
    "grep": re.compile(r"-[A-Za-z]*O"),
    "config": re.compile(
        r"(?i)(?:alias|filter|pager|include|includeif|protocol|tar|trailer|man|browser|instaweb|sendemail|imap)\."
        r"|[\w-]+\.\S*(?:pager|editor|command|cmd|helper|hook|fsmonitor|textconv|driver|program|askpass|external"
        r"|gitproxy|uploadpack|receivepack|difffilter|\.path|\.vcs|templatedir|worktree|attributesfile)"
        r"|submodule\..*\.update|--edit|-e\Z"
    ),
}
"""How options and values of sub-commands of git begin with which it runs another program, now or later."""

COMPUTING = _words("test [ printf read let unset export declare typeset wait getopts mapfile readarray")
"""Builtins of shells that run what stands in the index of a variable's name."""

BUILTINS = _words("alias hash trap enable shopt set bind complete declare typeset local readonly fc")
RISKY_NAMES = re.compile(
    r"PATH|IFS|ENV|BASH_ENV|SHELL\w*|PS4|PROMPT_COMMAND|LD_\w*|DYLD_\w*|GIT_\w*|\w*PAGER|\w*EDITOR|VISUAL|"
    r"BROWSER|LESS\w*|PYTHON\w*|PERL\w*|RUBY\w*|NODE_(?!ENV\b)\w*|\w*_COMMAND|GCONV_PATH|RUSTC\w*|CC|CXX|LD|AR|"
    r"\w+_OPTIONS|(?:GNU)?MAKE\w*|MANOPT|GOFLAGS|\w*_RSH|\w*_SSH|\w*ASKPASS|\w*INIT|CARGO_\w*|GCC_EXEC_PREFIX|"
    r"COMPILER_PATH|HOME|ZDOTDIR|XDG_CONFIG_\w+|ZIPOPT|AWK\w+|PKG_CONFIG|HGRCPATH|npm_config_\w+|NPM_CONFIG_\w+"
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
