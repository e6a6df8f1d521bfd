# Stop the jobs that the file $1 lists, one id per line or as CSV, and keep a report of what became of each.
set -eu

# Look at every job. Nothing is changed; an invalid line ends the script here.
canceller batch plan "$1" --backend ess --reason "INC-4711: runaway invoices" --by ann --rate 50 -o plan.jsonl

# The first line has the numbers, every other line says what would be done to one job, and why.
head -n 1 plan.jsonl
grep '"would": "nothing"' plan.jsonl || true

# Do it: ten jobs first, the rest once these have ended without a failure; pause if one in ten fails. `--wait`
# watches the batch even without a terminal, and exits with 3 if a job is not as planned or could not be stopped.
canceller batch apply plan.jsonl --canary 10 --stop-at 10% --rate 50 --wait || echo "see the report: not all went well"

canceller batch report plan.jsonl -o report.csv
