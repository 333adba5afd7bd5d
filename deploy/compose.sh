#!/usr/bin/env bash
# docker-compose on what a start script has started:
#   compose.sh [dev|prod] main COMMAND...               compose.sh prod main ps
#   compose.sh [dev|prod] observer:BAY COMMAND...       compose.sh prod observer:3bay_north logs -f observer-triggerer
#   compose.sh [dev|prod] processor:BAY:2 COMMAND...    compose.sh prod processor:3bay_north:2 down
set -euo pipefail
# shellcheck source=deploy/deployment.sh
source "$(dirname "${BASH_SOURCE[0]}")/deployment.sh"

[[ $# -ge 3 ]] || fail "usage: compose.sh [dev|prod] main|observer:BAY[:INSTANCE]|processor:BAY[:INSTANCE] COMMAND..."
environment=$1
IFS=: read -r role bay instance <<<"$2"
shift 2
check_environment "$environment"
choose_user
check_docker
case "$role" in
  main)
    compose_with main "$environment" "$PROJECT/env/$environment/main.env" airflow-main "$@"
    ;;
  observer | processor)
    check_bay "${bay:-}"
    check_instance "${instance:-1}"
    choose_worker "$role" "$environment" "$bay" "${instance:-1}"
    compose_with "$role" "$environment" "$ENV_FILE" "$PROJECT_NAME" "$@"
    ;;
  *) fail "'$role': write main, observer:BAY or processor:BAY" ;;
esac
