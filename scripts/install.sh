#!/bin/sh
# Installs stackctl for one user: fetches wheels, checks them, and lets the code in them do the rest.
# All of it stands in one pair of braces: a script that was cut off on its way runs not one word.
{
  set -eu

  # >>> release
  release() {
    VERSION=''
  }
  # <<< release

  usage() {
    cat <<'USAGE'
usage: install.sh [OPTION]...

Installs stackctl for this user: a private Python environment in PREFIX/versions, a link to it in BIN_DIR.
Needs Python 3.10 to 3.13. Never uses sudo, never changes Docker, edits no file of yours unless you say so.

  --dry-run             print what would be done, change nothing
  --prefix DIR          where it lives (~/.local/share/stackctl)        STACKCTL_INSTALL_DIR
  --bin-dir DIR         where the command is linked (~/.local/bin)      STACKCTL_BIN_DIR
  --version X           that version instead of this script's own       STACKCTL_VERSION
  --base-url URL        take the files from there (https)               STACKCTL_BASE_URL
  --from PATH           take them from a folder, or the bundle itself; no network
  --method auto|uv|venv make the environment with uv where it is there, else with Python's venv
  --python PATH         the Python to use
  --force               install again what is installed
  --modify-path         put BIN_DIR on PATH in your shell's start-up file without asking
  --no-modify-path      do not, and do not ask                          STACKCTL_NO_MODIFY_PATH
  --no-completions      write no completion files for bash, zsh and fish
  --verify-signature    also check the signature of SHA256SUMS; needs minisign
  --insecure-test       allow http:// on this machine's loopback
  --rollback            go back to the version before
  --uninstall           remove what was installed, and nothing else
  -y, --yes             ask nothing; PATH stays as it is
  -q, -v, -h            --quiet: errors only; --verbose: each step; --help

Exit codes: 0 done, 1 failed, 2 usage, 3 something is missing on this machine, 4 network,
5 verification failed, 129 130 143 ended by a signal.
USAGE
  }

  say() { [ "$verbosity" -lt 0 ] || printf '%s\n' "$*" >&2; }
  step() { [ "$verbosity" -lt 1 ] || printf '+ %s\n' "$(redacted "$*")" >&2; }
  have() { command -v "$1" >/dev/null 2>&1; }

  # URLs may carry a password
  redacted() { printf '%s\n' "$1" | sed 's|://[^/@ ]*@|://***@|g'; }

  refuse() { die 2 "$1" "${2:-sh install.sh --help lists the options}"; }

  # die CODE MESSAGE [HINT]
  die() {
    printf 'error: %s\n' "$(redacted "$2")" >&2
    [ -z "${3:-}" ] || printf 'hint: %s\n' "$(redacted "$3")" >&2
    exit "$1"
  }

  defaults() {
    prefix=${STACKCTL_INSTALL_DIR:-} bin_dir=${STACKCTL_BIN_DIR:-} wanted=${STACKCTL_VERSION:-}
    base_url=${STACKCTL_BASE_URL:-} source='' method=auto python='' action=install
    dry_run='' force='' insecure='' signature='' yes=${CI:+yes} verbosity=0 completions=yes
    path_edit=ask quiet='' temporary='' child='' absent='' unknown='' log=/dev/null
  }

  parse() {
    while [ $# -gt 0 ]; do
      case $1 in
        --*=*)
          option=${1%%=*} value=${1#*=}
          shift
          set -- "$option" "$value" "$@"
          ;;
      esac
      case $1 in
        --prefix | --bin-dir | --version | --base-url | --from | --method | --python)
          take_value "$1" "${2:-}" && shift
          ;;
        --dry-run) dry_run=yes ;;
        --force) force=yes ;;
        --modify-path) path_edit=yes ;;
        --no-modify-path) STACKCTL_NO_MODIFY_PATH=yes ;;
        --no-completions) completions='' ;;
        --verify-signature) signature=yes ;;
        --insecure-test) insecure=yes ;;
        --rollback | --uninstall) action=${1#--} ;;
        -y | --yes) yes=yes ;;
        -q | --quiet) verbosity=-1 quiet=yes ;;
        -v | --verbose) verbosity=1 ;;
        -h | --help) usage && exit ;;
        *) refuse "unknown option $1" ;;
      esac
      shift
    done
  }

  take_value() {
    case $2 in
      '' | -* | '~'* | *'
'*) refuse "option $1 needs a value: one line, with neither - nor ~ in front" ;;
    esac
    case $1 in
      --prefix) prefix=$2 ;;
      --bin-dir) bin_dir=$2 ;;
      --version) wanted=$2 ;;
      --base-url) base_url=$2 ;;
      --from) source=$2 ;;
      --python) python=$2 ;;
      --method) method=$2 ;;
    esac
    case $method in
      auto | uv | venv) ;;
      *) refuse "there is no method $method: auto, uv or venv" ;;
    esac
  }

  # Every path absolute, every choice made, nothing written
  settle() {
    [ -n "${HOME:-}" ] || HOME=$(getent passwd "$(id -u)" 2>/dev/null | cut -d : -f 6) || HOME=''
    if [ -z "$HOME" ] && { [ -z "$prefix" ] || [ -z "$bin_dir" ]; }; then
      refuse 'HOME is not set, and nothing says where this user lives' 'give --prefix and --bin-dir'
    fi
    prefix=$(absolute "${prefix:-${XDG_DATA_HOME:-$HOME/.local/share}/stackctl}")
    [ -n "$bin_dir" ] || bin_dir=$(sed -n 's/^bin_dir //p' "$prefix/receipt" 2>/dev/null | tail -n 1)
    bin_dir=$(absolute "${bin_dir:-$HOME/.local/bin}")
    launcher=$bin_dir/stackctl
  }

  absolute() { [ "${1#/}" != "$1" ] || set -- "$PWD/$1" && printf '%s\n' "${1%/}"; }

  choose_source() {
    [ -n "$VERSION" ] || die 1 'this copy of install.sh has no release in it' 'make dist writes one that has'
    wanted=${wanted#v}
    case $wanted in
      *[!0-9A-Za-z.+-]*) refuse "$wanted is no version" ;;
    esac
    # A script that lies beside its files takes those, unless another place or version is named
    beside=$0
    [ "$beside" != install.sh ] || beside=$PWD/$0
    case $beside in
      */install.sh)
        [ -n "$source$base_url" ] || [ "${wanted:-$VERSION}" != "$VERSION" ] ||
          [ ! -f "${beside%/*}/$BUNDLE" ] || source=${beside%/*}
        ;;
    esac
    base_url=${base_url:-$BASE_URL}
    [ "${base_url#file:///}" = "$base_url" ] || source=${source:-${base_url#file://}}
    if [ -n "$source" ]; then
      source=$(absolute "$source")
      [ -e "$source" ] || refuse "there is no $source"
      [ -f "$source" ] || [ -f "$source/$BUNDLE" ] || [ -f "$source/$WHEEL" ] ||
        die 4 "there is no $BUNDLE in $source" 'make dist writes it'
      return 0
    fi
    base_url=${base_url%/}
    case $base_url in
      '') refuse 'nothing says where the files are' 'give --base-url URL or --from PATH' ;;
      https://*) ;;
      http://*@*) refuse "$base_url is not https" ;;
      http://127.0.0.1[:/]* | http://localhost[:/]* | http://127.0.0.1 | http://localhost)
        [ -n "$insecure" ] || refuse "$base_url is not https" 'for a rehearsal here: --insecure-test'
        ;;
      *) refuse "$base_url is not https" 'give an https:// or file:// URL' ;;
    esac
  }

  # package_command APT DNF APK PACMAN ZYPPER BREW: the command of the system's own tool
  package_command() {
    for tool in 'apt-get install -y' 'dnf install -y' 'apk add' 'pacman -S' 'zypper in' 'brew install'; do
      if have "${tool%% *}"; then
        [ "${tool%% *}" = brew ] || tool="sudo $tool"
        printf '%s %s\n' "$tool" "$1"
        return 0
      fi
      [ $# -eq 1 ] || shift
    done
    printf "install %s with this system's packages\n" "$1"
  }

  # Sets platform, as in linux-x86_64-gnu; what is not known is refused and never guessed
  find_platform() {
    system=$(uname -s) machine=$(uname -m)
    case $machine in
      x86_64 | amd64) machine=x86_64 ;;
      aarch64 | arm64) machine=arm64 ;;
      armv7l | riscv64 | i686) ;;
      *) die 3 "this script knows no $machine" 'pipx can install the wheel, where its packages build' ;;
    esac
    case $system in
      Linux)
        [ "$(uname -o 2>/dev/null || :)" != Android ] || die 3 'stackctl does not run on Android'
        case $(uname -r) in
          *-Microsoft) die 3 'this is WSL 1, whose kernel holds no limits' 'wsl --set-version DISTRO 2' ;;
        esac
        [ "$machine" != x86_64 ] || [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 64 ] || machine=i686
        platform=linux-$machine-gnu
        case $(ldd --version 2>&1 || :) in
          *musl*) platform=linux-$machine-musl ;;
        esac
        ;;
      Darwin) platform=darwin-$machine ;; # under Rosetta too: pip takes what its Python can run
      *) die 3 "stackctl runs on Linux and macOS, not on $system" ;;
    esac
  }

  is_python() { "$1" -IBc 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3,13))' 2>/dev/null; }

  find_python() {
    if [ -n "$python" ]; then
      is_python "$python" || die 3 "$python is no Python 3.10 to 3.13" 'name another one with --python'
    else
      for name in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if [ -z "$python" ] && have "$name" && is_python "$name"; then
          python=$(command -v "$name")
        fi
      done
      if [ -z "$python" ] && have uv; then
        python=$(UV_PYTHON_DOWNLOADS=never uv python find '>=3.10,<3.14' 2>/dev/null) || python=''
      fi
      [ -n "$python" ] || die 3 'there is no Python 3.10 to 3.13 here' \
        "$(package_command python3 python3 python3 python python3 python@3.13)"
    fi
    [ "$method" != auto ] || ! have uv || method=uv
    [ "$method" != auto ] || method=venv
    [ "$method" != uv ] || have uv || die 3 'there is no uv here' 'leave --method out: venv will do'
    [ "$method" != venv ] || "$python" -I -B -c 'import venv' 2>/dev/null ||
      die 3 "$python has no venv module" "$(package_command python3-venv python3 python3 python)"
  }

  make_temporary() {
    temporary=$(mktemp -d "${TMPDIR:-/tmp}/stackctl.XXXXXX") || die 1 "cannot write in ${TMPDIR:-/tmp}"
    log=$temporary/log
  }

  # A curl from snap may not write here; busybox looks at no certificate and fetches only what has a hash
  choose_client() {
    client=curl found=$(command -v curl) || found=''
    [ -n "${found##/snap/*}" ] || client=python
    [ "$client" = curl ] || ! have wget || client=wget
    [ "$client" != wget ] || ! wget --help 2>&1 | grep -q BusyBox || client=${unknown:-busybox}
  }

  # transfer URL FILE: in the background, since a shell heeds signals only between commands and in wait
  transfer() {
    secure='=https'
    [ -z "$insecure" ] || secure='=http,https'
    case $client in
      curl)
        set -- curl -fsSL --proto "$secure" --proto-redir "$secure" --tlsv1.2 --connect-timeout 20 \
          --speed-limit 1000 --speed-time 60 --continue-at - --output "$2" "$1"
        ;;
      wget) set -- wget -q -c --tries 1 --timeout 60 --max-redirect 0 -O "$2" "$1" ;;
      busybox) set -- wget -q -O "$2" "$1" ;; # of its -T, version 1.35 dies
      python)
        set -- "$python" -I -B -c '
import sys, urllib.request
url, to, secure = sys.argv[1:]
class Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *given):
        if "http," not in secure and not given[-1].startswith("https:"):
            raise OSError("redirected to " + given[-1])
        return super().redirect_request(*given)
with urllib.request.build_opener(Redirects).open(url, timeout=60) as answer, open(to, "wb") as file:
    while block := answer.read(1 << 16):
        file.write(block)' "$1" "$2" "$secure"
        ;;
    esac
    "$@" >>"$log" 2>&1 </dev/null &
    child=$! status=0
    wait "$child" || status=$?
    child=''
  }

  # download URL FILE: three tries, each going on where the last one ended
  download() {
    choose_client
    for pause in 1 2 ''; do
      step "download $1 with $client"
      transfer "$1" "$2"
      case $client-$status in
        *-0) return 0 ;;
        curl-22 | curl-60 | wget-8) break ;;
      esac
      [ -z "$pause" ] || sleep "$pause"
    done
    [ "$verbosity" -lt 1 ] || tail -n 3 "$log" >&2
    die 4 "cannot download $1 ($client ended with $status)" "$(remedy "$client-$status")"
  }

  remedy() {
    case $1 in
      curl-5) echo 'the proxy has no address: look at https_proxy and ~/.curlrc' ;;
      curl-6 | wget-4) echo 'the host has no address or does not answer: look at network, DNS and URL' ;;
      curl-7) echo 'nothing answers there: look at the network, the proxy and the URL' ;;
      curl-22 | wget-8) echo "${absent:-no such file there, or a redirection: look at URL and version}" ;;
      curl-28) echo 'it took too long: try again, or fetch the files and use --from' ;;
      curl-35) echo 'no TLS 1.2 connection: something on the way may interfere' ;;
      curl-60 | wget-5) echo 'the certificate is not trusted: CURL_CA_BUNDLE or SSL_CERT_FILE may help' ;;
      *) echo "${absent:-look at the network, then try again, or fetch the files and use --from}" ;;
    esac
  }

  sha256_of() {
    if have sha256sum; then
      sha256sum <"$1"
    elif have shasum; then
      shasum -a 256 <"$1"
    elif have openssl; then
      openssl dgst -sha256 -r <"$1"
    else
      "$python" -IBc 'import sys, hashlib as h; print(h.sha256(sys.stdin.buffer.read()).hexdigest())' <"$1"
    fi | sed 's/[^0-9a-f].*//'
  }

  # get NAME: into the temporary folder
  get() {
    if [ -n "$source" ]; then
      file=$source
      [ ! -d "$source" ] || file=$source/$1
      cp -- "$file" "$temporary/$1" 2>/dev/null || die 4 "cannot read $file" 'make dist writes it'
    else
      download "$base_url/$1" "$temporary/$1"
    fi
  }

  # fetch NAME SHA256: what does not have that hash is not used
  fetch() {
    [ "${#2}" -eq 64 ] || die 5 "there is no SHA-256 for $1" 'this install.sh is damaged: fetch it again'
    get "$1"
    step "check $1"
    found=$(sha256_of "$temporary/$1") || found=''
    [ "$found" = "$2" ] || die 5 "$1 is not what it must be: SHA-256 ${found:-unknown}, expected $2" \
      'nothing was installed; a server that answers with a web page has the wrong URL'
  }

  check_signature() {
    [ -n "$signature" ] || return 0
    [ -n "$SIGNING_KEY" ] || die 5 'this release is not signed' 'its files are checked by hash all the same'
    have minisign || die 3 'there is no minisign here' "$(package_command minisign)"
    get SHA256SUMS
    get SHA256SUMS.minisig
    minisign -Vqm "$temporary/SHA256SUMS" -P "$SIGNING_KEY" >&2 || die 5 'SHA256SUMS has a wrong signature'
    for line in "$BUNDLE_SHA256  $BUNDLE" "$WHEEL_SHA256  $WHEEL" "$PIP_SHA256  $PIP" \
      "$PINS_SHA256  $PINS"; do
      grep -qxF -- "$line" "$temporary/SHA256SUMS" || die 5 "what was signed is another ${line##* }"
    done
  }

  uses_bundle() { [ "$platform" = "$BUNDLE_PLATFORM" ] || [ -f "$source" ]; }

  # The wheels that were checked, in temporary/wheels; our own unpacked in temporary/code
  get_wheels() {
    mkdir "$temporary/wheels"
    if uses_bundle; then
      fetch "$BUNDLE" "$BUNDLE_SHA256"
      unpack=$temporary/$BUNDLE
    else
      fetch "$WHEEL" "$WHEEL_SHA256"
      fetch "$PIP" "$PIP_SHA256"
      fetch "$PINS" "$PINS_SHA256"
      mv "$temporary/$WHEEL" "$temporary/$PIP" "$temporary/$PINS" "$temporary/wheels"
      unpack=''
    fi
    step 'unpack'
    "$python" -I -B -c '
import re, sys, tarfile, zipfile
archive, folder, wheel, code = sys.argv[1:]
for entry in (files := tarfile.open(archive)) if archive else ():
    if not entry.isreg() or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", entry.name):
        sys.exit("it has something else than plain files: " + repr(entry.name))
    with open(folder + "/" + entry.name, "xb") as file:
        file.write(files.extractfile(entry).read())
zipfile.ZipFile(folder + "/" + wheel).extractall(code)' \
      "$unpack" "$temporary/wheels" "$WHEEL" "$temporary/code" 2>"$log" ||
      die 5 "$BUNDLE cannot be unpacked: $(tail -n 1 "$log")"
  }

  plan() {
    say "stackctl $VERSION for $(id -un 2>/dev/null):"
    from=$(redacted "${source:-$base_url}") what=$BUNDLE
    index='the packages it needs from the index that pip or uv is set up with'
    uses_bundle || what=$WHEEL from="$from, $index"
    say "  take $what from $from"
    say '  check the SHA-256 of all that is taken'
    say "  make $prefix/versions/$VERSION with $method and $python"
    say "  link $launcher to it${completions:+, write completions for bash, zsh and fish}"
    case $path_edit in
      ask) what='asked first at a terminal, else the line to add is printed' ;;
      yes) what="in your shell's start-up file" ;;
      *) what='no file is changed, the line to add is printed' ;;
    esac
    say "  put $bin_dir on PATH, where it is not: $what"
  }

  leave_when_installed() {
    if [ -z "$force" ] && grep -qsxF -- "wheel $WHEEL_SHA256" "$prefix/current/release" &&
      [ "$(readlink "$launcher" || :)" = "$prefix/current/bin/stackctl" ] &&
      [ "$(PYTHONDONTWRITEBYTECODE=1 "$launcher" --version 2>/dev/null)" = "stackctl $VERSION" ]; then
      say "stackctl $VERSION is already installed: $launcher"
      [ -n "$dry_run" ] || printf '%s\n' "$launcher"
      exit 0
    fi
  }

  # Another release has its own script beside its files, which knows its hashes
  other_version() {
    [ -z "$source" ] || die 2 "$source holds version $VERSION, not $wanted"
    base_url=${base_url%/"$VERSION"}/$wanted
    say "version $wanted is another release: $(redacted "$base_url")/install.sh installs it"
    absent="is there a $wanted? ${base_url%/*}/install.sh is the newest, others have folders beside it"
    python=${python:-python3} file=/dev/null unknown=python
    [ -n "$dry_run" ] || { make_temporary && file=$temporary/install.sh; }
    download "$base_url/install.sh" "$file"
    [ -z "$dry_run" ] || exit 0
    download "$base_url/SHA256SUMS" "$temporary/SHA256SUMS"
    grep -qxF -- "$(sha256_of "$temporary/install.sh")  install.sh" "$temporary/SHA256SUMS" ||
      die 5 "$base_url/install.sh is not what SHA256SUMS says"
    sh "$temporary/install.sh" "$@" --base-url "$base_url" --version "$wanted" || exit
    exit 0
  }

  install() {
    choose_source
    [ "${wanted:-$VERSION}" = "$VERSION" ] || other_version "$@"
    find_platform
    find_python
    leave_when_installed
    plan
    [ -z "$dry_run" ] || return 0
    [ "$(id -u)" != 0 ] || say 'warning: this is root, and root alone will have stackctl'
    make_temporary
    check_signature
    get_wheels
    step 'install'
    "$python" -I -B -c 'import sys
sys.path.insert(0, sys.argv[1])
from stackctl.cli.setup import main
sys.exit(main(sys.argv[2:]))' "$temporary/code" "prefix=$prefix" "bin_dir=$bin_dir" "home=$HOME" \
      "version=$VERSION" "wheel_sha256=$WHEEL_SHA256" "wheels=$temporary/wheels" "pins=$PINS" "pip=$PIP" \
      "bundled=$(uses_bundle && echo yes || echo no)" "base_url=$(redacted "$base_url")" "method=$method" \
      "python=$python" "force=$force" "completions=$completions" "path=$path_edit" \
      "verbosity=$verbosity" </dev/null &
    child=$!
    wait "$child"
    child=''
    printf '%s\n' "$launcher"
  }

  # shellcheck disable=SC2329 # a trap calls it
  clean_up() {
    trap '' INT TERM HUP
    if [ -n "$child" ]; then
      kill "$child" 2>/dev/null || :
      wait "$child" 2>/dev/null || :
    fi
    [ -z "$temporary" ] || rm -rf -- "$temporary"
  }

  main() {
    umask 022
    unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_USER PIP_PREFIX
    release
    defaults
    parse "$@"
    [ -z "${STACKCTL_NO_MODIFY_PATH:-}" ] || path_edit=no
    [ -z "$yes" ] || [ "$path_edit" != ask ] || path_edit=tell
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    settle
    if [ "$action" = install ]; then
      install "$@"
    else
      [ -L "$prefix/current" ] || die 1 "nothing is installed in $prefix" 'name its --prefix'
      for name in current previous ''; do
        program=$prefix/$name/bin/stackctl
        ! "$program" --version >/dev/null 2>&1 || break
      done
      [ -n "$name" ] || die 1 "what is installed in $prefix does not run" 'install it again first'
      "$program" self "$action" ${quiet:+--quiet} ${dry_run:+--dry-run} ${yes:+--yes}
    fi
  }

  main "$@"
  exit $?
}
