#!/usr/bin/env bash
# Prints Redis's users, each with the digest of its password: redis-acl.sh SECRETS_FOLDER QUEUE[,QUEUE]...
#
#   airflow    the scheduler and Flower: every queue, nothing of the server's own settings
#   QUEUE      a worker, named by its first queue, as obs_3bay_north: takes from its queues, acknowledges, says
#              that it lives
#
# A worker cannot send a task, not even to itself by another's name: kombu's tables of who gets what
# (_kombu.binding.*) are its own queue's alone, and so are the messages that it has taken and not acknowledged,
# for which each worker has keys of its own (UNACKED_KEY and its like in the compose file).
set -euo pipefail

digest() { printf '%s' "$(cat "$SECRETS/$1")" | sha256sum | cut -d ' ' -f 1; }

readonly SECRETS=$1
shift
# Between a queue's name and a priority. The file of users knows no escapes: the bytes themselves.
readonly PRIORITY=$'\x06\x16'
# What kombu's Redis transport asks of a worker's connection. It names its library as well (client|setinfo, which Redis 7.0
# does not know and refuses to start with), and does without.
readonly CONNECTION='+auth +hello +ping +select +client|setname +publish'
readonly QUEUE='+brpop +rpop +rpush +lpush +llen +exists +sadd +smembers'
readonly UNACKED='+hset +hget +hdel +zadd +zrem +zrange +set +get +del +eval +evalsha +script|load +multi +exec +discard +watch +unwatch'

echo 'user default off resetpass -@all'
echo "user airflow on #$(digest redis_password) ~* &* +@all -@admin -@dangerous +info"
for queues in "$@"; do
  user=${queues%%,*}
  keys="~unacked.$user ~unacked_index.$user ~unacked_mutex.$user"
  for queue in ${queues//,/ }; do
    keys+=" ~$queue ~$queue$PRIORITY* ~_kombu.binding.$queue ~_kombu.binding_permanent.$queue"
  done
  echo "user $user on #$(digest "redis_$user") resetchannels &/0.celeryev/* $keys -@all $CONNECTION $QUEUE $UNACKED"
done
