#!/usr/bin/env bash
# Plants bugs in the source, one at a time, in a copy of the repository, and shows that random schedules catch each of them.
#
#   tests/soak/schedules/plant.sh          # 300 schedules against each bug, at most
#   tests/soak/schedules/plant.sh 1000
#
# Prints for each bug the schedule that caught it. Fails when one is not caught, and when a patch fits no more: then the bug has
# to be planted anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

schedules=${1:-300}
root=$PWD
copy=$root/target/plant
# Registry crates are built once for the repository and its copy.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}

rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z | xargs -0 cp --parents --preserve=timestamps -t "$copy"

missed=0
for patch in "$root"/tests/soak/schedules/plant/*.patch; do
    name=$(basename "$patch" .patch)
    (cd "$copy" && patch --quiet -p1 <"$patch")
    (cd "$copy" && cargo test --quiet --test schedules --no-run)
    if found=$(cd "$copy" && cargo test --quiet --test schedules -- "$schedules" 2>/dev/null); then
        echo "MISSED  $name: $schedules schedules were clean"
        missed=1
    else
        echo "caught  $name: ${found%%$'\n'*}"
    fi
    (cd "$copy" && patch --quiet -p1 --reverse <"$patch")
done
exit "$missed"
