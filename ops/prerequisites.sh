# What this is: what quickstart, test and install need before they can build; sourced by them.
# Owns: the list of packages; showing each command before it runs.
# Never: changes anything of the host but installing the packages it names.
# On failure: exit 69 with what to do.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The three libraries we link, and curl, by which make_request speaks HTTP (docs/decisions/0005-http.md).
packages="libyaml-dev libarchive-dev libsqlite3-dev curl"

say() { printf '%s\n' "$*"; }

need_swift() {
    if command -v swift >/dev/null 2>&1; then return; fi
    cat >&2 <<'TEXT'
The Swift toolchain (6.2 or newer) is missing. On Debian 12, as your own user:

    sudo apt-get install -y curl gnupg
    curl -O https://download.swift.org/swiftly/linux/swiftly-$(uname -m).tar.gz
    tar xzf swiftly-$(uname -m).tar.gz && ./swiftly init

Then open a new shell and run this command again. Other ways: https://www.swift.org/install/linux/
TEXT
    exit 69
}

need_packages() {
    local missing="" package
    for package in $packages; do
        if [ "$package" = curl ] && command -v curl >/dev/null 2>&1; then continue; fi
        dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
    done
    [ -z "$missing" ] && return
    if ! command -v apt-get >/dev/null 2>&1; then
        say "missing:$missing — install them with your system's package manager, then run this again" >&2
        exit 69
    fi
    local sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo"
    say "installing what is missing:"
    say "    $sudo apt-get update && $sudo apt-get install -y --no-install-recommends$missing"
    # shellcheck disable=SC2086  # the lists are words on purpose
    $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || {
        say "the packages could not be installed; see above" >&2
        exit 69
    }
}

need_all() {
    need_swift
    need_packages
}
