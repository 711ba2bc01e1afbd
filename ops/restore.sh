#!/usr/bin/env bash
# What this is: brings a bundle back into the site around here: restore.sh FILE; options are those of `bobbin backup restore`.
# Owns: nothing.
# Never: does anything that the verb does not.
# On failure: the verb's exit code.
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: restore.sh FILE [--dry-run] [--to DIR] [--only CLASS|PATH]" >&2; exit 2; }
file=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
exec "${BOBBIN:-bobbin}" backup restore "$file" --site . "$@"
