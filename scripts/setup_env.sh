#!/usr/bin/env bash
# Makes the virtual environment that the Makefile's commands run in, or does nothing if it is up to date.
#
#   scripts/setup_env.sh VENV      make or update the environment in the folder VENV
#   scripts/setup_env.sh --hash    print the hash of everything that is required (a name for a cached environment)
#
# PYTHON names the interpreter; by default the first of python3, python3.14, ... python3.10 that fits. MG_BASICSR names
# another distribution of BasicSR, for example basicsr==1.4.2.
#
# torch and torchvision come as a pair, since a build of one loads only with its own build of the other: the pair that
# PYTHON has already is used (on a machine with a GPU somebody chose it), else the pair below, which works on a CPU too.
set -euo pipefail

TORCH_PAIR=(torch==2.14.1 torchvision==0.29.1)
# A wheel with the code of BasicSR's git head, on every Python: nothing is built, and no second torch is downloaded.
BASICSR=${MG_BASICSR:-new-basicsr==1.0.0}
# What the setup.py of BasicSR's own releases imports. Newer setuptools lack what it and the code of its time expect.
BASICSR_BUILD=('setuptools>=77,<81' wheel cython numpy)

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '==> %s\n' "$*"; }
fail() { printf '%s\n' "setup_env: $1" "${@:2}" >&2; exit 2; }

fits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10}; do
        if fits "$candidate"; then echo "$candidate"; return; fi
    done
    fail "no usable Python: ${PYTHON:-python3} is $("${PYTHON:-python3}" --version 2>&1 || true)" \
        '  Python 3.10 to 3.14 is needed: torchvision, which BasicSR imports, has no release for others.' \
        '  Install one of them (pyenv install 3.12, conda create -n mg python=3.12, ...) and name it, for example:' \
        '  make test PYTHON=/path/to/python3.12'
}

has_torch_pair() {
    # torchvision with the wrong torch fails at import: its compiled operators are not registered.
    "$1" -c 'import torch, torchvision; assert int(torch.__version__.split(".")[0]) >= 2' 2>/dev/null
}

requirements_hash() {
    {
        cat "$REPO/scripts/setup_env.sh"
        sed '/^\[tool\./,$d' "$REPO/pyproject.toml"  # what follows configures linters and tests
        cat "$REPO/setup.py"
        echo "$BASICSR"
        "$1" -c 'import sys; print(sys.version, sys.base_prefix)'
    } | sha256sum | cut -c1-16
}

make_venv() {
    local python=$1 venv=$2 options=()
    if has_torch_pair "$python"; then options=(--system-site-packages); fi
    say "virtual environment $venv with $("$python" --version) ${options[*]}"
    "$python" -m venv "${options[@]}" "$venv" || fail "$python -m venv failed" \
        '  On Debian and Ubuntu: apt-get install python3-venv'
    if [ ${#options[@]} -gt 0 ] && ! has_torch_pair "$venv/bin/python"; then
        # PYTHON is itself of a virtual environment, whose packages are not the system's: name their folder.
        "$python" -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])' \
            >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/outer_environment.pth"
    fi
}

install_all() {
    local venv_python=$1
    local pip=("$venv_python" -m pip --disable-pip-version-check install --no-input)
    if has_torch_pair "$venv_python"; then
        say 'torch and torchvision are there'
    else
        say "${TORCH_PAIR[*]} (several GB the first time)"
        "${pip[@]}" "${TORCH_PAIR[@]}"
    fi
    say "$BASICSR"
    case $BASICSR in
    new-basicsr*) "${pip[@]}" --quiet 'setuptools>=77' wheel "$BASICSR" ;;
    *)  # without isolation: an isolated build downloads a second torch
        "${pip[@]}" --quiet "${BASICSR_BUILD[@]}"
        "${pip[@]}" --quiet --no-build-isolation "$BASICSR"
        ;;
    esac
    say 'mg-basicsr, with what its demo, tests, linter, type checker and documents need'
    "${pip[@]}" --quiet --no-build-isolation -e "$REPO[dev,demo,docs]"
}

build_kernels() {
    # In place, where an editable install looks for it: a new clone has none, and a change of its source makes it anew.
    # Without a compiler nothing is built, and NumPy does the work.
    local source="$REPO/mg_basicsr/data/_kernels.c" suffix
    suffix=$("$1" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
    local built="${source%.c}$suffix"
    if [ "$built" -nt "$source" ] && [ "$built" -nt "${source%/*}/_crops.h" ]; then return; fi
    (cd "$REPO" && "$1" setup.py --quiet build_ext --inplace --build-temp "$(mktemp -d)") 2>/dev/null || true
    if [ ! -e "$built" ]; then say 'no compiler: crops are copied in NumPy'; fi
}

check() {
    local venv_python=$1 pip=("$1" -m pip --disable-pip-version-check --quiet)
    has_torch_pair "$venv_python" || fail 'torch and torchvision do not load together after the installation' \
        '  Remove the environment and run again; to see why: python -c "import torchvision" in it.'
    if "$venv_python" -c 'import cv2' 2>/dev/null; then return; fi
    # basicsr asks for opencv-python, which needs the libraries of a desktop. Both packages own the same files, so one goes.
    say 'opencv-python does not load (no libGL on this machine?): opencv-python-headless takes its place'
    "${pip[@]}" uninstall --yes opencv-python opencv-python-headless
    "${pip[@]}" install --no-input --no-deps opencv-python-headless
    "$venv_python" -c 'import cv2' || fail 'cv2 does not load; its message is above'
}

main() {
    [ $# -eq 1 ] || fail 'usage: scripts/setup_env.sh VENV | --hash'
    local python hash
    python=$(find_python)
    hash=$(requirements_hash "$python")
    if [ "$1" = --hash ]; then echo "$hash"; return; fi

    local venv=$1 stamp="$1/.mg_basicsr_setup" wanted="$hash $REPO"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        build_kernels "$venv/bin/python"
        return
    fi
    rm -f "$stamp"
    make_venv "$python" "$venv"
    install_all "$venv/bin/python"
    check "$venv/bin/python"
    build_kernels "$venv/bin/python"
    echo "$wanted" >"$stamp"
    say "ready in $SECONDS s"
}

main "$@"
