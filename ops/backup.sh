#!/usr/bin/env bash
# What this is: a bundle of the site around here, by the name that the guides have for it; options are those of `bobbin backup create`.
# Owns: nothing.
# Never: does anything that the verb does not.
# On failure: the verb's exit code.
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${BOBBIN:-bobbin}" backup create --site . "$@"
