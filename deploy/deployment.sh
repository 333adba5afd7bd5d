# shellcheck shell=bash
# What the start scripts share: they source this file. What can be checked before a container starts is
# checked here, and reported in one sentence.

PROJECT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
readonly PROJECT
SECRETS_PATH="${SECRETS_PATH:-$PROJECT/secrets}"
BAYS_FOLDER="${BAYS_FOLDER:-$PROJECT/bays}"
export SECRETS_PATH BAYS_FOLDER

readonly MAIN_SECRETS=(postgres_password airflow_db_password results_db_password history_db_password redis_password
  fernet_key api_secret_key jwt_secret admin_password flower_password flower_viewer_password metrics_token alerts_token
  grafana_password grafana_secret_key)
# The values of examples, which an attacker tries first.
readonly KNOWN_DEFAULTS=" airflow admin administrator postgres redis password secret changeme change-me default test yard "
readonly SHORTEST_SECRET=20
# Each has a certificate of its own, by which the others recognise it.
readonly TLS_SERVERS=(postgres redis api proxy)
readonly AUTHORITY_DAYS=7300 CERTIFICATE_DAYS=825 RENEWED_DAYS_BEFORE=180

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

# What docker-compose and this script must read alike: NAME=VALUE lines, without quotes, ended as on Unix. Compose would
# put a variable in place of `$`, and takes what follows ` #` for a comment.
check_env_file() {
  local line number=0 odd='[$`\]|[[:space:]]#'
  check_line_ends "$1"
  check_line_ends "$PROJECT/env/base.env"
  while IFS= read -r line || [[ -n "$line" ]]; do
    number=$((number + 1))
    [[ "$line" =~ ^($|#|[A-Za-z_][A-Za-z0-9_]*=[^\'\"]*$) ]] || fail "$1:$number: write NAME=VALUE, without quotes or blanks before it"
    [[ "$line" == \#* || ! "$line" =~ $odd ]] || fail "$1:$number: a value has no \$, \` or \\, and no comment behind it"
    [[ ! "$line" =~ ^[^#]*=.*[[:space:]]$ ]] || fail "$1:$number: a blank at the end of the value"
  done <"$1"
}

check_line_ends() {
  local number
  [[ -f "$1" ]] || fail "$1 not found"
  number="$(LC_ALL=C grep -n -m 1 $'\r' "$1" | cut -d : -f 1)" || true
  [[ -z "$number" ]] || fail "$1:$number: a carriage return: save the file with the line ends of Unix"
  number="$(LC_ALL=C grep -a -n -m 1 -P '[\x00-\x08\x0b-\x1f\x7f]' "$1" | cut -d : -f 1)" || true
  [[ -z "$number" ]] || fail "$1:$number: a control character"
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

# Redis lets a worker take from its own queue and, in development, from `default` as an observer does there.
check_queue() {
  local file=$1 queue=$2 served
  served="$(setting "$file" WORKER_QUEUES)"
  [[ "$served" == "$queue" || "$served" == "$queue,default" ]] || fail "$file: WORKER_QUEUES does not name $queue alone"
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

# What the bay's containers write; of the rest of the store they have a read-only mount.
# make_bay_folders ENV_FILE BAY STAGE...
make_bay_folders() {
  local path bay=$2 stage
  path="$(setting "$1" SHARED_DATA_PATH)"
  [[ "$path" == /* ]] || path="$PROJECT/${path:-data}"
  for stage in "${@:3}"; do
    mkdir -p "$path/$stage/$bay" || fail "$path/$stage/$bay: cannot be made: is the store writable by $(id -un)?"
    [[ "$(id -u)" -ne 0 ]] || chown "$AIRFLOW_UID:0" "$path/$stage" "$path/$stage/$bay"
  done
}

# Containers run as the user who starts them; if that is root, as the image's own user.
choose_user() {
  if [[ -z "${AIRFLOW_UID:-}" ]]; then
    AIRFLOW_UID="$(id -u)"
    [[ "$AIRFLOW_UID" -ne 0 ]] || AIRFLOW_UID=50000
  fi
  [[ "$AIRFLOW_UID" =~ ^[1-9][0-9]{0,9}$ ]] || fail "AIRFLOW_UID=$AIRFLOW_UID: give the number of a user who is not root"
  export AIRFLOW_UID
}

# Where the programs of the monitoring keep what they know: monitoring_path ENV_FILE
monitoring_path() {
  local path
  path="$(setting "$1" LOGS_PATH)"
  [[ "$path" == /* ]] || path="$PROJECT/${path:-logs}"
  echo "$path/monitoring"
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

# What a bay's worker and its triggerer use: worker_secrets ROLE BAY
worker_secrets() {
  echo airflow_db_password
  if [[ "$1" == observer ]]; then echo api_secret_key "redis_obs_$2"; else echo "redis_proc_$2"; fi
}

check_secrets() {
  local name
  for name in "$@"; do
    [[ -f "$SECRETS_PATH/$name" ]] || fail "$SECRETS_PATH/$name is missing: copy $* from the main server's secrets/ (mode 600, see docs/deploy.md)"
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

# On the main server: makes the missing secrets, except those of a database that exists already, and the workers' users
# of Redis and PostgreSQL.
# provide_main_secrets ENVIRONMENT
provide_main_secrets() {
  local name bay also="" first=yes queues=() names=("${MAIN_SECRETS[@]}")
  [[ "$1" == prod ]] || also=,default
  (umask 077 && mkdir -p "$SECRETS_PATH")
  for bay in $(known_bays); do
    [[ "$bay" == none ]] || queues+=("obs_$bay$also" "proc_$bay")
  done
  for name in "${queues[@]}"; do names+=("redis_${name%%,*}"); done
  for name in "${MAIN_SECRETS[@]}"; do
    [[ ! -e "$SECRETS_PATH/$name" ]] || first=no
  done
  for name in "${names[@]}"; do
    [[ ! -e "$SECRETS_PATH/$name" ]] || continue
    if [[ $first == no && ($name == postgres_password || $name == fernet_key) ]]; then
      fail "$SECRETS_PATH/$name is missing while other secrets exist: the database was made with it; restore it from your backup"
    fi
    make_secret "$name"
  done
  check_secrets "${names[@]}"
  (umask 077 && "$PROJECT/deploy/redis-acl.sh" "$SECRETS_PATH" "${queues[@]}" >"$SECRETS_PATH/redis_acl")
  (umask 077 && for name in "${queues[@]}"; do echo "${name%%,*} $(cat "$SECRETS_PATH/redis_${name%%,*}")"; done >"$SECRETS_PATH/queue_logins")
  [[ "$(id -u)" -ne 0 ]] || chown "$AIRFLOW_UID:0" "$SECRETS_PATH/redis_acl" "$SECRETS_PATH/queue_logins"
}

# On the main server: the deployment's own certificate authority, and a certificate for each server with every name by
# which it is reached. A certificate that ends soon, or whose names have changed, is replaced.
# provide_certificates NAME...
provide_certificates() {
  local ca="$SECRETS_PATH/tls_ca" server
  command -v openssl >/dev/null || fail "openssl is not installed (Debian: apt install openssl)"
  [[ ! -e "${ca}_certificate" || -e "${ca}_key" ]] ||
    fail "${ca}_key is missing: restore it from your backup, or remove ${ca}_certificate, start again, and copy the new one to all hosts"
  if [[ ! -e "${ca}_certificate" ]]; then
    (umask 077 && make_authority "$ca") || fail "${ca}_certificate: openssl cannot make it"
    echo "made ${ca}_certificate"
  fi
  for server in "${TLS_SERVERS[@]}"; do
    if ! is_right_certificate "$SECRETS_PATH/tls_$server" "$@"; then
      (umask 077 && make_certificate "$SECRETS_PATH/tls_$server" "$server" "$@") ||
        fail "$SECRETS_PATH/tls_${server}_certificate: openssl cannot make it"
      echo "made $SECRETS_PATH/tls_${server}_certificate"
    fi
    [[ "$(id -u)" -ne 0 ]] || chown "$AIRFLOW_UID:0" "$SECRETS_PATH/tls_$server"_{key,certificate}
  done
  check_authority
}

# The names of the main server in its env file, and those in its Docker network: tls_names ENV_FILE
tls_names() {
  local variable name given names=(localhost 127.0.0.1 postgres redis api-server)
  for variable in MAIN_SERVER_IP PUBLISH_ADDRESS HISTORY_HOST TLS_NAMES; do
    read -ra given <<<"$(setting "$1" "$variable")"
    for name in "${given[@]}"; do
      [[ "$name" =~ ^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$ ]] || fail "$variable=$name: write an IPv4 address or a host's name"
      [[ " ${names[*]} " == *" $name "* || "$name" == 0.0.0.0 ]] || names+=("$name")
    done
  done
  echo "${names[@]}"
}

# alternative_names WORD_FOR_AN_ADDRESS NAME...
alternative_names() {
  local name all=()
  for name in "${@:2}"; do
    if [[ "$name" =~ ^[0-9.]+$ ]]; then all+=("$1:$name"); else all+=("DNS:$name"); fi
  done
  local IFS=,
  echo "${all[*]}"
}

is_right_certificate() {
  local file="$1_certificate" key shown names
  [[ -s "$file" && -s "$1_key" ]] || return 1
  openssl verify -attime $(($(date +%s) + RENEWED_DAYS_BEFORE * 86400)) -CAfile "$SECRETS_PATH/tls_ca_certificate" "$file" >/dev/null 2>&1 || return 1
  key="$(openssl pkey -in "$1_key" -pubout 2>/dev/null)" || return 1
  shown="$(openssl x509 -in "$file" -noout -pubkey -ext subjectAltName 2>/dev/null)"
  names="$(sed -n '/DNS:/s/^ *//p' <<<"$shown")"
  [[ "$shown" == *"$key"* && "${names//, /,}" == "$(alternative_names 'IP Address' "${@:2}")" ]]
}

make_authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days $AUTHORITY_DAYS \
    -subj "/CN=Bay Observation of $(hostname)" -keyout "$1_key" -out "$1_certificate" -extensions ca -config <(
      printf '%s\n' '[req]' 'distinguished_name=dn' '[dn]' '[ca]' 'basicConstraints=critical,CA:TRUE,pathlen:0' \
        'keyUsage=critical,keyCertSign,cRLSign' 'subjectKeyIdentifier=hash'
    ) 2>/dev/null
}

make_certificate() {
  local file=$1 server=$2 names
  names="$(alternative_names IP "${@:3}")"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$server" \
    -keyout "${file}_key.new" -config <(printf '%s\n' '[req]' 'distinguished_name=dn' '[dn]') 2>/dev/null |
    openssl x509 -req -CA "$SECRETS_PATH/tls_ca_certificate" -CAkey "$SECRETS_PATH/tls_ca_key" \
      -set_serial "0x$(openssl rand -hex 16)" -days $CERTIFICATE_DAYS -out "${file}_certificate.new" -extfile <(
        printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
          'extendedKeyUsage=serverAuth' 'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' "subjectAltName=$names"
      ) 2>/dev/null || return 1
  mv "${file}_key.new" "${file}_key" && mv "${file}_certificate.new" "${file}_certificate"
}

# On every host: the certificate by which its services recognise the main server.
check_authority() {
  local file="$SECRETS_PATH/tls_ca_certificate"
  [[ -f "$file" ]] || fail "$file is missing: copy it from the main server's secrets/"
  grep -q 'BEGIN CERTIFICATE' "$file" || fail "$file: this is no certificate: copy it again from the main server"
  ! grep -q 'PRIVATE KEY' "$file" || fail "$file: it holds a private key; copy the certificate alone"
  [[ "$(id -u)" -ne 0 ]] || chown "$AIRFLOW_UID:0" "$file"
}

# On an observer: the file of its cameras' login, which set-camera-login.sh fills.
provide_camera_login() {
  local file="$SECRETS_PATH/camera_login_$1"
  if [[ ! -e "$file" ]]; then
    (umask 077 && mkdir -p "$SECRETS_PATH" && echo '{}' >"$file")
    echo "Note: no login of the cameras of $1 yet: deploy/set-camera-login.sh $1"
  fi
  [[ "$(stat -c %a "$file")" == *00 ]] || fail "$file: others may read it: chmod 600 $file"
  [[ "$(id -u)" -ne 0 ]] || chown "$AIRFLOW_UID:0" "$file"
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
  check_env_file "$file"
  # Other users of Redis: another container of it.
  [[ "$profile" != main || ! -r "$SECRETS_PATH/redis_acl" ]] || ACL_DIGEST="$(sha256sum <"$SECRETS_PATH/redis_acl" | cut -c 1-16)"
  # Other certificates: other containers of the servers that use them.
  [[ "$profile" != main || ! -r "$SECRETS_PATH/tls_ca_certificate" ]] ||
    TLS_DIGEST="$(cat "$SECRETS_PATH"/tls_*_certificate | sha256sum | cut -c 1-16)"
  export ACL_DIGEST="${ACL_DIGEST:-}" TLS_DIGEST="${TLS_DIGEST:-}"
  options=(--project-directory "$PROJECT" --file "$PROJECT/docker-compose.yaml")
  [[ "$environment" == dev ]] || options+=(--file "$PROJECT/deploy/docker-compose.prod.yaml")
  options+=(--env-file "$file" --project-name "$name" --profile "$profile")
  [[ "$profile" != main || "$(setting "$file" MONITORING)" != yes ]] || options+=(--profile monitoring)
  [[ "$profile" != observer || "$(setting "$file" SIMULATED_CAMERAS)" != yes ]] || options+=(--profile cameras)
  "${COMPOSE[@]}" "${options[@]}" "$@"
}

# choose_worker ROLE ENVIRONMENT BAY INSTANCE sets ENV_FILE, PROJECT_NAME, WORKER_NAME and WORKER_QUEUE.
# shellcheck disable=SC2034 # the scripts that source this file use them
choose_worker() {
  local role=$1 environment=$2 bay=$3 instance=$4 suffix=""
  ENV_FILE="$PROJECT/env/$environment/${role}_$bay.env"
  [[ -f "$ENV_FILE" ]] || fail "$ENV_FILE not found: bay-observation bay env $bay writes it"
  check_env_file "$ENV_FILE"
  [[ "$instance" -eq 1 ]] || suffix="-$instance"
  PROJECT_NAME="airflow-$role-$bay$suffix"
  WORKER_NAME="$(sed -n 's/^WORKER_NAME=//p' "$ENV_FILE")$suffix"
  # Under this name Redis knows the worker.
  WORKER_QUEUE="$(setting "$ENV_FILE" WORKER_QUEUES)"
  WORKER_QUEUE="${WORKER_QUEUE%%,*}"
  export WORKER_NAME WORKER_QUEUE
}
