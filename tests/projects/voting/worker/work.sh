#!/bin/bash
# Takes votes from Redis into the database, and writes what they come to as a page.
set -u

# The next vote, empty where there is none
next_vote() {
  local size='' vote=''
  exec 3<>/dev/tcp/vote-redis/6379 || return 1
  printf 'RPOP votes\r\n' >&3
  IFS= read -r -t 5 size <&3
  [[ $size == '$-1'* ]] || IFS= read -r -t 5 vote <&3
  exec 3>&-
  printf '%s\n' "${vote%$'\r'}"
}

count() {
  psql -v ON_ERROR_STOP=1 -At -v voter="${1% *}" -v choice="${1#* }" <<<"INSERT INTO votes VALUES (:'voter', :'choice')
    ON CONFLICT (voter) DO UPDATE SET choice = excluded.choice"
}

publish() {
  psql -At -c "SELECT choice || ' ' || count(*) FROM votes GROUP BY choice ORDER BY choice" >/results/.new &&
    mv /results/.new /results/index.html
}

trap 'exit 0' TERM
umask 022
publish
while :; do
  vote=$(next_vote 2>/dev/null)
  if [[ -n $vote ]]; then
    until count "$vote"; do sleep 0.5; done
    publish
  else
    sleep 0.2
  fi
done
