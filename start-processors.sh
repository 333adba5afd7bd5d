#!/usr/bin/env bash
# Starts the processors of bays beside the main server: start-processors.sh [dev|prod] ["BAY BAY ..."] [INSTANCE]
# INSTANCE 2 is a second processor of the same bays. A bay that cannot be started is reported and skipped; the
# exit status is then 1.
set -euo pipefail
# shellcheck source=deploy/deployment.sh
source "$(dirname "${BASH_SOURCE[0]}")/deploy/deployment.sh"

environment="${1:-dev}"
bays="${2:-3bay_north 4bay 5bay}"
instance="${3:-1}"
check_environment "$environment"
check_instance "$instance"
choose_user
check_docker
ensure_network

start() {
  local bay=$1
  check_bay "$bay"
  choose_worker processor "$environment" "$bay" "$instance"
  check_queue "$ENV_FILE" "proc_$bay"
  # shellcheck disable=SC2046 # names of files, without blanks
  check_secrets $(worker_secrets processor "$bay")
  check_authority
  check_image "$ENV_FILE"
  check_storage "$environment" "$ENV_FILE" worker
  make_bay_folders "$ENV_FILE" "$bay" fusion tracking
  make_folder "$PROJECT/logs"
  echo "Starting processor for $bay..."
  compose_with processor "$environment" "$ENV_FILE" "$PROJECT_NAME" up -d
}

status=0
for bay in $bays; do
  # In a subshell, which `fail` ends. Not in an `if`, where set -e would not hold.
  set +e
  (
    set -e
    start "$bay"
  )
  result=$?
  set -e
  if [[ $result -ne 0 ]]; then
    echo "Warning: skipping $bay" >&2
    status=1
  fi
done
exit $status
