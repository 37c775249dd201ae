#!/usr/bin/env bash
# Measure what only a GPU can show, in at most 8 minutes on one card, from a checkout:
#
#   tests/gpu/run.sh [--venv] [REPORT]
#
# The table that is printed at the end is also written to REPORT, ./gpu-report.md by default. Python
# is $PYTHON, else .venv's here, else the first python3; with --venv a fresh environment is made for
# it, with pip, which is not part of the 8 minutes, and removed again.
#
# Ends with 0 where everything held; with 1 where something did not, or did not end in its time; with
# 2 for wrong use, or a module that is missing; with 77, and a line, where there is no GPU.
set -uo pipefail

usage="usage: tests/gpu/run.sh [--venv] [REPORT]"
fresh=
report=gpu-report.md
given=
for word in "$@"; do
  case $word in
    -h | --help) echo "$usage" && exit 0 ;;
    --venv) fresh=1 ;;
    -*) echo "run.sh: $word is no option; $usage" >&2 && exit 2 ;;
    *)
      [[ -z $given ]] || { echo "run.sh: one REPORT, and not '$given' and '$word'; $usage" >&2 && exit 2; }
      given=$word report=$word
      ;;
  esac
done
# Before minutes go by: where it is to be, and that it can be there.
if ! { [[ ! -d $report ]] && : >>"$report"; } 2>/dev/null; then
  echo "run.sh: $report can't be written; name a file in a folder that there is" >&2
  exit 2
fi
[[ -s $report ]] || rm -f "$report"
report=$(realpath "$report")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d "${TMPDIR:-/tmp}/zoo-gpu.XXXXXX")
child=
end() {
  [[ -z $child ]] || kill "$child" 2>/dev/null
  rm -rf "$work"
}
trap end EXIT
trap 'echo "run.sh: interrupted; nothing was written" >&2; exit 130' INT TERM HUP

python=${PYTHON:-}
if [[ -z $python ]]; then
  python=python3
  [[ ! -x .venv/bin/python ]] || python=.venv/bin/python
fi
if [[ -n $fresh ]]; then
  "$python" -m venv "$work/venv" && python=$work/venv/bin/python &&
    "$python" -m pip install --quiet '.[parquet]' pytest ||
    { echo "run.sh: no fresh environment could be made; see above" >&2 && exit 2; }
fi
export PYTHONPATH="$PWD:$PWD/tests/plugins${PYTHONPATH:+:$PYTHONPATH}"
export ZOO_GPU_TESTS_WORK=$work/shared ZOO_GPU_TESTS_ROWS=$work/rows
mkdir "$work/shared" && : >"$work/rows" && : >"$work/steps"

# What is loaded late is missed here, and not after minutes; the last line says what it is.
needed="import pytest, filelock, httpx, numpy, PIL, platformdirs, yaml, torchvision, harness.cli, card"
if ! absent=$("$python" -c "$needed; print(card.absent() or '')" 2>"$work/err"); then
  echo "run.sh: $python can't run the tests: $(tail -n 1 "$work/err"); try --venv, or set PYTHON" >&2
  exit 2
fi
if [[ -n $absent ]]; then
  echo "run.sh: nothing was measured: it $absent" >&2
  exit 77
fi

budget=${ZOO_GPU_TESTS_BUDGET:-470}
begun=$SECONDS
status=0

# step NAME LIMIT: run tests/gpu/test_NAME.py, for so many seconds at the most.
step() {
  local name=$1 limit=$2 left=$((budget - SECONDS + begun)) from=$SECONDS code word
  ((left < limit)) && limit=$left
  if ((limit < 1)); then
    code=124
  else
    timeout --kill-after=5 "$limit" "$python" -m pytest -o addopts= --import-mode=importlib -q \
      -p no:cacheprovider "tests/gpu/test_$name.py" >"$work/$name.log" 2>&1 &
    child=$!
    wait "$child"
    code=$?
    child=
  fi
  case $code in
    0) word=ended ;;
    1) word="did not hold" ;;
    124 | 137)
      word="ran past $limit s"
      ((limit > 0)) || word="had no time left"
      ;;
    *) word="broke off, status $code" ;;
  esac
  echo "$name: $word, $((SECONDS - from)) s"
  printf '%s\t%s\t%s\n' "$name" "$word" "$((SECONDS - from))" >>"$work/steps"
  if ((code)); then
    status=1
    tail -n 40 "$work/$name.log" | sed 's/^/    /' >&2
  fi
}

# The limits add up to the 470 seconds; each is some times what the step should take.
step counts 65
step loop 40
step errors 80
step memory 45
step bench 55
step decode 25
step throughput 120
step devices 40

"$python" tests/gpu/table.py "$work/rows" "$work/steps" "$report" || status=1
exit $status
