#!/usr/bin/env bash
# Starts a bay's observer on a host inside the bay's camera network: start-observers.sh [dev|prod] [BAY] [INSTANCE]
# INSTANCE 2 is the standby, on a second host: Airflow gives it the work of a first one that went down.
set -euo pipefail
# shellcheck source=deploy/deployment.sh
source "$(dirname "${BASH_SOURCE[0]}")/deploy/deployment.sh"

environment="${1:-dev}"
bay="${2:-3bay_north}"
instance="${3:-1}"
check_environment "$environment"
check_bay "$bay"
check_instance "$instance"
choose_worker observer "$environment" "$bay" "$instance"
check_queue "$ENV_FILE" "obs_$bay"
choose_user
check_docker
check_image "$ENV_FILE"
check_storage "$environment" "$ENV_FILE" worker
# shellcheck disable=SC2046 # names of files, without blanks
check_secrets $(worker_secrets observer "$bay")
check_authority
provide_camera_login "$bay"
make_bay_folders "$ENV_FILE" "$bay" observation
ensure_network

echo "Starting observer for $bay..."
compose_with observer "$environment" "$ENV_FILE" "$PROJECT_NAME" up -d
