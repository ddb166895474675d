#!/bin/sh
# Prepares nginx as the official image documents it: templates become configuration,
# then what stands in /docker-entrypoint.d runs, then nginx.
set -eu

note() {
  [ -n "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ] || printf 'docker-entrypoint.sh: %s\n' "$*"
}

# Replaces only variables that exist, so that nginx's own $variables stay
fill_templates() {
  templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
  suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
  output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
  [ -d "$templates" ] || return 0
  names=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/${\1} /p' | grep -e "${NGINX_ENVSUBST_FILTER:-}" | tr -d '\n')
  if [ ! -w "$output" ]; then
    note "templates are left alone: $output is not writable"
    return 0
  fi
  find -L "$templates" -type f -name "*$suffix" | while read -r template; do
    target=${template#"$templates"/}
    target=$output/${target%"$suffix"}
    mkdir -p "$(dirname "$target")"
    note "writing $target"
    envsubst "$names" <"$template" >"$target"
  done
}

run_scripts() {
  for script in /docker-entrypoint.d/*; do
    # shellcheck source=/dev/null
    case $script in
      *.envsh) [ ! -x "$script" ] || . "$script" ;;
      *.sh) [ ! -x "$script" ] || "$script" ;;
    esac
  done
}

case ${1:-} in
  nginx | nginx-debug)
    fill_templates
    run_scripts
    ;;
esac
exec "$@"
