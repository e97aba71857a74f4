#!/bin/sh
# Gets what a machine with Rust may still lack for `cargo test` and `tuma dev`: the PostgreSQL
# server programs and a C compiler. Does nothing where both are found; starts no service and
# leaves none behind. Debian, Ubuntu and macOS; elsewhere it says what to install.
set -eu

postgres_major_min=14

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# The folders where server programs may be, one a line, best first.
postgres_folders() {
    if initdb=$(command -v initdb); then dirname "$initdb"; fi
    if command -v pg_config >/dev/null; then pg_config --bindir 2>/dev/null || true; fi
    for folder in /usr/lib/postgresql/*/bin \
        /opt/homebrew/opt/postgresql@*/bin /opt/homebrew/bin \
        /usr/local/opt/postgresql@*/bin /usr/local/bin; do
        printf '%s\n' "$folder"
    done
}

# Sets `postgres` to the first folder whose server is new enough.
find_postgres() {
    postgres=
    folders=$(postgres_folders)
    while IFS= read -r folder; do
        if ! [ -x "$folder/initdb" ] || ! [ -x "$folder/postgres" ]; then continue; fi
        # "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "… 17beta1"
        major=$("$folder/postgres" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
        if [ "${major:-0}" -ge "$postgres_major_min" ]; then
            postgres=$folder
            return 0
        fi
    done <<FOLDERS
$folders
FOLDERS
    return 1
}

# A compiler without the C library's files cannot link either, so one program is built.
find_compiler() {
    command -v cc >/dev/null || return 1
    printf '#include <stdio.h>\nint main(void) { return 0; }\n' >"$scratch/a.c"
    cc -o "$scratch/a" "$scratch/a.c" 2>/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Runs a command as root and shows what it wrote only if it failed.
quietly_as_root() {
    as_root "$@" >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        fail "'$*' failed"
    }
}

apt() {
    quietly_as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -y -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# Debian's package creates and starts a cluster for everyone when it is first installed; while
# this file is there it does not.
no_cluster=/etc/postgresql-common/createcluster.d/tuma-setup.conf

forbid_cluster() {
    as_root mkdir -p "${no_cluster%/*}"
    printf 'create_main_cluster = false\n' | as_root tee "$no_cluster" >/dev/null
}

permit_cluster() {
    [ ! -e "$no_cluster" ] || as_root rm -f "$no_cluster"
    as_root rmdir "${no_cluster%/*}" 2>/dev/null || true
}

install_with_apt() {
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        fail "installing $* needs root: run this as root, or install sudo"
    fi
    say "installing $* with apt-get"
    apt update
    case " $* " in
    *' postgresql '*)
        forbid_cluster
        apt install --no-install-recommends "$@"
        permit_cluster
        ;;
    *) apt install --no-install-recommends "$@" ;;
    esac
}

install_with_brew() {
    command -v brew >/dev/null || fail 'Homebrew is missing: install it, then run this again'
    say 'installing postgresql@17 with Homebrew'
    brew install --quiet postgresql@17 </dev/null
}

clean_up() {
    rm -rf "$scratch"
    [ ! -e "$no_cluster" ] || permit_cluster
}

scratch=$(mktemp -d)
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

missing=
find_postgres || missing=postgresql
find_compiler || missing="$missing build-essential"

if [ -n "$missing" ]; then
    if [ "$(uname -s)" = Darwin ]; then
        find_compiler || fail 'a C compiler is missing: run xcode-select --install'
        find_postgres || install_with_brew
    elif command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086 # two words are two packages
        install_with_apt $missing
    else
        fail "this system has neither apt-get nor Homebrew: install the PostgreSQL server" \
            "programs, version $postgres_major_min or newer, and a C compiler"
    fi
    find_compiler || fail 'the C compiler still cannot build a program'
    find_postgres ||
        fail "no PostgreSQL $postgres_major_min or newer even after the installation:" \
            'this system offers only an older one'
fi

say "PostgreSQL $major in $postgres"
