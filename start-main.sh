#!/usr/bin/env bash
# Starts Airflow's own services, PostgreSQL, Redis and Flower on the main server: start-main.sh [dev|prod]
# The first start makes the secrets. Safe to run again: it restarts what has changed.
set -euo pipefail
# shellcheck source=deploy/deployment.sh
source "$(dirname "${BASH_SOURCE[0]}")/deploy/deployment.sh"

environment="${1:-dev}"
check_environment "$environment"
env_file="$PROJECT/env/$environment/main.env"
check_env_file "$env_file"
choose_user
check_docker
check_image "$env_file"
check_storage "$environment" "$env_file" main
provide_main_secrets "$environment"
names="$(tls_names "$env_file")"
# shellcheck disable=SC2086 # names of hosts, without blanks
provide_certificates $names
make_folder "$PROJECT/logs"
if [[ "$(setting "$env_file" MONITORING)" == yes ]]; then
  for name in prometheus alertmanager grafana; do make_folder "$(monitoring_path "$env_file")/$name"; done
fi
ensure_network

compose_with main "$environment" "$env_file" airflow-main up -d
echo "Airflow: https, port 8080, user admin, password in $SECRETS_PATH/admin_password (Flower: port 5555 of this host alone, path /flower/, flower_password)"
[[ "$(setting "$env_file" MONITORING)" != yes ]] || echo "Grafana: port 3000 of this host alone, user admin, password in $SECRETS_PATH/grafana_password
Flower: https, port 8443, path /flower/, users admin and viewer, passwords in $SECRETS_PATH/flower_password and flower_viewer_password"
echo "Browsers trust it with $SECRETS_PATH/tls_ca_certificate"
