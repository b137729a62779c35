# Sourced, not run: apt for arm64 packages with a state of its own, which leaves this machine's package state alone and needs no root.

# private_apt_mirror   prints $ADYTON_DEBIAN_MIRROR, or the Debian mirror that apt uses on this machine.
private_apt_mirror() {
  local mirror=${ADYTON_DEBIAN_MIRROR:-}
  if [ -z "$mirror" ]; then
    mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(COMPONENT)' 'Identifier: Packages' |
      awk '$2 == "main" && $1 ~ /\/debian\/*$/ { print $1; exit }')
  fi
  if [ -z "$mirror" ]; then
    echo "$0: apt's sources on this machine name no Debian mirror; set ADYTON_DEBIAN_MIRROR to the URL of one" >&2
    return 1
  fi
  echo "$mirror"
}

# private_apt_setup FOLDER SUITE   makes the state below FOLDER (an absolute path). FOLDER/status may hold packages that count as installed.
private_apt_setup() {
  local folder=$1 suite=$2 mirror
  mirror=$(private_apt_mirror) || return 1
  mkdir -p "$folder"/{state,lists/partial,cache/archives/partial,log} || return 1
  [ -e "$folder/status" ] || : >"$folder/status"
  echo "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$folder/sources.list"
  # Read after the machine's own configuration (proxies stay as they are): apt.conf(5).
  cat >"$folder/apt.conf" <<END
#clear APT::Architectures;
#clear APT::Update;
#clear DPkg;
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "$folder/state";
Dir::State::lists "$folder/lists";
Dir::State::status "$folder/status";
Dir::Cache "$folder/cache";
Dir::Log "$folder/log";
Dir::Etc::SourceList "$folder/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
END
}

# private_apt FOLDER ARGUMENT...   apt-get there. What it says is shown only when it fails.
private_apt() {
  local folder=$1
  shift
  apt-get --config-file "$folder/apt.conf" -q "$@" </dev/null >"$folder/apt.log" 2>&1 || {
    cat "$folder/apt.log" >&2
    return 1
  }
}

# private_apt_download FOLDER PACKAGE...   fetches the packages and all they depend on to FOLDER/cache/archives, checked by apt against
# the archive's signature.
private_apt_download() {
  local folder=$1
  shift
  private_apt "$folder" -o APT::Update::Error-Mode=any update && private_apt "$folder" --yes --download-only install "$@"
}
