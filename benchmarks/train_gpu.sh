#!/usr/bin/env bash
# Minutes of a large GPU made into trained weights, from the best there are, to be carried on anywhere.
#   bash benchmarks/train_gpu.sh DATA OUT MINUTES [SETTINGS]
# DATA is made by `structdiff prepare`. OUT/last.ckpt, or its pieces OUT/last.ckpt.part-*, are continued where they are
# there; else weights/mini is the start. In the end OUT holds weights/, the log, and the checkpoint in pieces of 15 MiB
# with their checksums, small enough for mail and for most artifact stores. SETTINGS: benchmarks/train_gpu.yaml.
set -euo pipefail

data=$1 out=$2 minutes=$3 settings=${4:-$(dirname "$0")/train_gpu.yaml}
mkdir -p "$out"

if [ ! -f "$out/last.ckpt" ] && compgen -G "$out/last.ckpt.part-*" >/dev/null; then
  (cd "$out" && sha256sum --quiet --check pieces.sha256)
  cat "$out"/last.ckpt.part-* >"$out/last.ckpt"
fi

structdiff train "$settings" --data "$data" --out "$out" --max-minutes "$minutes"

rm -f "$out"/last.ckpt.part-*
split --bytes 15M --numeric-suffixes --suffix-length 3 "$out/last.ckpt" "$out/last.ckpt.part-"
(cd "$out" && sha256sum last.ckpt.part-* >pieces.sha256 && ls -l last.ckpt.part-*)
