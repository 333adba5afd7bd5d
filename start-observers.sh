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
check_secrets "${WORKER_SECRETS[@]}"
ensure_network

echo "Starting observer for $bay..."
compose_with observer "$environment" "$ENV_FILE" "$PROJECT_NAME" up -d
