#!/usr/bin/env bash
# Stores the login of a bay's cameras on the bay's observer, where its triggerer alone reads it: set-camera-login.sh BAY
# Asks for login and password, or reads them as two lines from standard input; they are never on a command line.
# A triggerer that runs uses them from its next capture on.
set -euo pipefail
# shellcheck source=deploy/deployment.sh
source "$(dirname "${BASH_SOURCE[0]}")/deployment.sh"

# Blanks at the ends are part of a password; a carriage return, as of a file from Windows, is not.
ask() {
  local line
  if [[ -t 0 ]]; then
    IFS= read -rp "$1" "${@:2}" line || fail "nothing was entered; nothing is changed"
    [[ $# -eq 1 ]] || echo >&2
  else
    IFS= read -r line || [[ -n "$line" ]] || fail "write two lines: login and password"
  fi
  line="${line%$'\r'}"
  [[ -n "$line" ]] || fail "login and password are needed"
  [[ ! "$line" =~ [[:cntrl:]] ]] || fail "a login and a password have no control characters"
  printf '%s' "$line"
}

in_json() {
  local text="${1//\\/\\\\}"
  printf '"%s"' "${text//\"/\\\"}"
}

[[ $# -eq 1 ]] || fail "usage: set-camera-login.sh BAY, on the bay's observer"
check_bay "$1"
choose_user
provide_camera_login "$1" >/dev/null
login="$(ask "Login of the cameras of $1: ")"
password="$(ask "Password: " -s)"
# In place: a container keeps the file that it was started with.
printf '{"onvif_%s": {"conn_type": "generic", "login": %s, "password": %s}}\n' \
  "$1" "$(in_json "$login")" "$(in_json "$password")" >"$SECRETS_PATH/camera_login_$1"
