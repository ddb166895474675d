#!/bin/sh
# Answers with a page: the limits in this container's own control group, and how often it was asked for.
set -eu

# first FILE...: what stands in the first of these files that there is
first() {
  for file; do
    if [ -r "$file" ]; then
      cat "$file"
      return
    fi
  done
  echo unknown
}

# share QUOTA PERIOD: processors' worth of time, to a hundredth
share() {
  case $1 in
    '' | max | unknown | -*) echo unlimited ;;
    *) awk -v quota="$1" -v period="${2:-100000}" 'BEGIN { printf "%g\n", quota / period }' ;;
  esac
}

size() {
  case $1 in
    '' | *[!0-9]*) echo "$1" ;;
    *) echo "$(($1 / 1048576)) MiB" ;;
  esac
}

# One byte for each visit: two at once cannot undo each other
printf . >> /var/visits/count
visits=$(wc -c < /var/visits/count)

group=/sys/fs/cgroup
pids=$(first $group/pids.max $group/pids/pids.max)
memory=$(first $group/memory.max $group/memory/memory.limit_in_bytes)
if [ -r $group/cpu.max ]; then
  read -r quota period < $group/cpu.max
else
  quota=$(first $group/cpu/cpu.cfs_quota_us)
  period=$(first $group/cpu/cpu.cfs_period_us)
fi

# Set here, since no quotes hold in the text below
greeting={{ greeting|html|shell }}

cat << PAGE
Content-Type: text/html; charset=utf-8
Cache-Control: no-store

<!doctype html>
<html lang="en">
<title>stackctl</title>
<style>
  body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem; }
  td { padding-right: 2rem; }
</style>
<h1>$greeting</h1>
<p>This container reads its limits from its own control group. The kernel enforces them.</p>
<table>
  <tr><td>processes</td><td id="pids">$pids</td></tr>
  <tr><td>memory</td><td id="memory">$(size "$memory")</td></tr>
  <tr><td>processors</td><td id="cpus">$(share "$quota" "$period")</td></tr>
  <tr><td>visits</td><td id="visits">$visits</td></tr>
</table>
<p>The visits are counted in a folder of this machine: they survive <code>stackctl down hello</code>.</p>
</html>
PAGE
