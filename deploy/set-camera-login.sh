#!/usr/bin/env bash
# Stores the login of a bay's cameras in Airflow; run it on the main server: set-camera-login.sh [dev|prod] BAY
# Asks for login and password, or reads them as two lines from standard input. They become the Airflow Connection
# onvif_BAY, encrypted with the Fernet key; they are never on a command line.
set -euo pipefail
# shellcheck source=deploy/deployment.sh
source "$(dirname "${BASH_SOURCE[0]}")/deployment.sh"

[[ $# -eq 2 ]] || fail "usage: set-camera-login.sh [dev|prod] BAY"
check_bay "$2"
if [[ -t 0 ]]; then
  read -rp "Login of the cameras of $2: " login
  read -rsp "Password: " password
  echo
else
  read -r login
  read -r password
fi
[[ -n "$login" && -n "$password" ]] || fail "login and password are needed"
printf '%s\n%s\n' "$login" "$password" | "$PROJECT/deploy/compose.sh" "$1" main exec -T api-server set-connection "onvif_$2" generic
