# shellcheck shell=bash
# What the start scripts share: they source this file. What can be checked before a container starts is
# checked here, and reported in one sentence.

PROJECT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
readonly PROJECT
SECRETS_PATH="${SECRETS_PATH:-$PROJECT/secrets}"
BAYS_FOLDER="${BAYS_FOLDER:-$PROJECT/bays}"
export SECRETS_PATH BAYS_FOLDER

readonly WORKER_SECRETS=(postgres_password redis_password fernet_key api_secret_key)
readonly MAIN_SECRETS=("${WORKER_SECRETS[@]}" jwt_secret admin_password flower_password)
# The values of examples, which an attacker tries first.
readonly KNOWN_DEFAULTS=" airflow admin administrator postgres redis password secret changeme change-me default test yard "
readonly SHORTEST_SECRET=20

fail() {
  echo "Error: $*" >&2
  exit 1
}

check_environment() {
  [[ "$1" == dev || "$1" == prod ]] || fail "environment '$1': write dev or prod"
}

# A bay's id, and a file of that name.
check_bay() {
  [[ "$1" =~ ^[a-z0-9][a-z0-9_]{0,47}$ ]] || fail "'$1' is not a bay id: lower-case letters, digits and underscores"
  [[ -f "$BAYS_FOLDER/$1.yaml" ]] || fail "unknown bay '$1': there is no $BAYS_FOLDER/$1.yaml; known bays: $(known_bays)"
}

known_bays() {
  local file names=()
  for file in "$BAYS_FOLDER"/*.yaml; do
    [[ -f "$file" ]] && names+=("$(basename "$file" .yaml)")
  done
  echo "${names[*]:-none}"
}

check_instance() {
  [[ "$1" =~ ^[1-9][0-9]?$ ]] || fail "instance '$1': write a number from 1 to 99"
}

# The value of a variable of an env file; the environment overrides it, as for docker-compose.
setting() {
  local file=$1 name=$2
  if [[ -n "${!name:-}" ]]; then
    echo "${!name}"
  else
    sed -n "s/^$name=//p" "$file" | tail -n 1
  fi
}

check_queue() {
  local file=$1 queue=$2
  [[ ",$(setting "$file" WORKER_QUEUES)," == *",$queue,"* ]] || fail "$file: WORKER_QUEUES does not name $queue"
}

check_docker() {
  command -v docker >/dev/null || fail "docker is not installed (Debian: apt install docker.io docker-compose)"
  if docker compose version >/dev/null 2>&1; then
    COMPOSE=(docker compose)
  elif command -v docker-compose >/dev/null; then
    COMPOSE=(docker-compose)
  else
    fail "neither the compose plugin of docker nor docker-compose is installed"
  fi
  docker info >/dev/null 2>&1 || fail "the Docker daemon does not answer: is it running, and may $(id -un) use it?"
}

check_image() {
  local image
  image="$(setting "$1" AIRFLOW_IMAGE_NAME)"
  image="${image:-bay-observation:latest}"
  docker image inspect "$image" >/dev/null 2>&1 ||
    fail "there is no image $image on this host: run make image, or docker load an image that another host built"
}

# In production the data is on another machine: an empty mount point would silently put it on the local disk.
# That holds for containers too, which Docker starts again after a reboot: they use the store only while its marker
# is there. start-main.sh makes the marker.
# check_storage ENVIRONMENT ENV_FILE ROLE
check_storage() {
  local environment=$1 file=$2 role=$3 path marker
  path="$(setting "$file" SHARED_DATA_PATH)"
  if [[ "$environment" == prod ]]; then
    [[ "$(setting "$file" SHARED_DATA_IS_LOCAL)" == yes ]] || mountpoint --quiet "${path:-/mnt/airflow-data}" ||
      fail "${path:-/mnt/airflow-data}: nothing is mounted there; mount the file server (or set SHARED_DATA_IS_LOCAL=yes if this disk is the store)"
    marker="${path:-/mnt/airflow-data}/.bay-observation-store"
    if [[ "$role" == main ]]; then
      touch "$marker" || fail "$marker: cannot be made: is the store writable by $(id -un)?"
    else
      [[ -e "$marker" ]] || fail "$marker is not there: run start-main.sh prod on the main server first, or mount the store that it uses"
    fi
    [[ -z "$(setting "$file" CLOCK)" ]] || fail "CLOCK is for demo, lab and backtest: leave it unset in production"
    export STORE_MARKER=required
  else
    make_folder "${path:-$PROJECT/data}"
  fi
}

# Containers run as the user who starts them; if that is root, as the image's own user.
choose_user() {
  if [[ -z "${AIRFLOW_UID:-}" ]]; then
    AIRFLOW_UID="$(id -u)"
    [[ "$AIRFLOW_UID" -ne 0 ]] || AIRFLOW_UID=50000
  fi
  export AIRFLOW_UID
}

make_folder() {
  mkdir -p "$1"
  [[ "$(id -u)" -ne 0 ]] || chown "$AIRFLOW_UID:0" "$1"
}

check_secret() {
  local file="$SECRETS_PATH/$1" mode value
  mode="$(stat -c %a "$file")"
  [[ "$mode" == *00 ]] || fail "$file: others may read it (mode $mode): chmod 600 $file"
  value="$(cat "$file")" || fail "$file: $(id -un) cannot read it"
  [[ "$KNOWN_DEFAULTS" != *" ${value,,} "* ]] || fail "$file: this is a well-known default; choose another secret"
  [[ ${#value} -ge $SHORTEST_SECRET ]] || fail "$file: ${#value} characters; at least $SHORTEST_SECRET are needed"
  if [[ "$1" == fernet_key ]]; then # while the key is being changed: several, the newest first
    [[ "$value" =~ ^[A-Za-z0-9_-]{43}=(,[A-Za-z0-9_-]{43}=)*$ ]] || fail "$file: this is not a Fernet key (32 bytes in URL-safe base64)"
  else
    [[ "$value" =~ ^[A-Za-z0-9_-]+=?$ ]] || fail "$file: write one line of letters, digits, - and _ (it becomes part of URLs)"
  fi
  [[ "$(id -u)" -ne 0 ]] || chown "$AIRFLOW_UID:0" "$file"
}

check_secrets() {
  local name
  for name in "$@"; do
    [[ -f "$SECRETS_PATH/$name" ]] || fail "$SECRETS_PATH/$name is missing: copy ${WORKER_SECRETS[*]} from the main server's secrets/ (mode 600, see docs/deploy.md)"
    check_secret "$name"
  done
}

make_secret() {
  (
    umask 077
    head -c 32 /dev/urandom | base64 --wrap=0 | tr '+/' '-_' >"$SECRETS_PATH/$1.new"
    mv "$SECRETS_PATH/$1.new" "$SECRETS_PATH/$1"
  )
  echo "made $SECRETS_PATH/$1"
}

# On the main server: makes the missing secrets, except those of a database that exists already.
provide_main_secrets() {
  local name first=yes
  (umask 077 && mkdir -p "$SECRETS_PATH")
  for name in "${MAIN_SECRETS[@]}"; do
    [[ ! -e "$SECRETS_PATH/$name" ]] || first=no
  done
  for name in "${MAIN_SECRETS[@]}"; do
    [[ ! -e "$SECRETS_PATH/$name" ]] || continue
    if [[ $first == no && ($name == postgres_password || $name == fernet_key) ]]; then
      fail "$SECRETS_PATH/$name is missing while other secrets exist: the database was made with it; restore it from your backup"
    fi
    make_secret "$name"
  done
  check_secrets "${MAIN_SECRETS[@]}"
}

ensure_network() {
  local name="${NETWORK_NAME:-bay-observation}"
  docker network inspect "$name" >/dev/null 2>&1 || docker network create "$name" >/dev/null
}

# compose_with PROFILE ENVIRONMENT ENV_FILE PROJECT_NAME ARGUMENTS...
# docker-compose 1.29 takes one --env-file: the service's own. env/base.env goes into every container by `env_file`.
compose_with() {
  local profile=$1 environment=$2 file=$3 name=$4 options=()
  shift 4
  options=(--project-directory "$PROJECT" --file "$PROJECT/docker-compose.yaml")
  [[ "$environment" == dev ]] || options+=(--file "$PROJECT/deploy/docker-compose.prod.yaml")
  options+=(--env-file "$file" --project-name "$name" --profile "$profile")
  [[ "$profile" != observer || "$(setting "$file" SIMULATED_CAMERAS)" != yes ]] || options+=(--profile cameras)
  "${COMPOSE[@]}" "${options[@]}" "$@"
}

# choose_worker ROLE ENVIRONMENT BAY INSTANCE sets ENV_FILE, PROJECT_NAME and WORKER_NAME.
# shellcheck disable=SC2034 # the scripts that source this file use them
choose_worker() {
  local role=$1 environment=$2 bay=$3 instance=$4 suffix=""
  ENV_FILE="$PROJECT/env/$environment/${role}_$bay.env"
  [[ -f "$ENV_FILE" ]] || fail "$ENV_FILE not found: python -m bays env $bay writes it"
  [[ "$instance" -eq 1 ]] || suffix="-$instance"
  PROJECT_NAME="airflow-$role-$bay$suffix"
  WORKER_NAME="$(sed -n 's/^WORKER_NAME=//p' "$ENV_FILE")$suffix"
  export WORKER_NAME
}
