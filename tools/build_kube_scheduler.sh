#!/usr/bin/env bash
# Builds the real kube-scheduler, the oracle of the tests of pod packing, from Debian's sources.
#
# Nothing is installed and no root is needed: packages come through apt with a state of its own,
# so that the archive's signatures and checksums are checked, and are unpacked into the cache. What
# was interrupted goes on where it was when run again.
#
#   OPTSCHED_KUBE_SCHEDULER   the binary to make (default: ~/.cache/optsched/kube-scheduler)
#   DEBIAN_MIRROR             the archive (default: the first one that apt is set up with)
set -euo pipefail

suite=bookworm
version='1.20.5+really1.20.2'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
binary="${OPTSCHED_KUBE_SCHEDULER:-${XDG_CACHE_HOME:-$HOME/.cache}/optsched/kube-scheduler}"
work="$binary.build"

if [ -x "$binary" ]; then
  echo "$binary is there already"
  exit 0
fi
for tool in apt-get dpkg-deb patch; do
  command -v "$tool" > /dev/null || { echo "needs $tool, of Debian or a relative" >&2; exit 1; }
done
mirror="${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
  | grep -m1 '/debian/\?$' || true)}"
mirror="${mirror:-http://deb.debian.org/debian}"

mkdir -p "$work"/{lists/partial,archives/partial,files,go,kubernetes}
cd "$work"
for type in deb deb-src; do
  echo "$type [signed-by=$keyring] $mirror $suite main"
done > sources.list
apt_options=(
  -qq
  -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=
)
tree="$work/kubernetes/src/k8s.io/kubernetes"
if [ ! -e "$work/unpacked" ]; then
  echo "fetching the sources and the compiler from $mirror"
  apt-get "${apt_options[@]}" update
  cd files
  apt-get "${apt_options[@]}" download golang-1.19-go golang-1.19-src
  apt-get "${apt_options[@]}" source --download-only kubernetes
  cd ..

  echo "unpacking"
  for package in files/golang-*.deb; do
    dpkg-deb --extract "$package" go
  done
  mkdir -p "$tree"
  tar -xf files/kubernetes_"$version".orig.tar.* --strip-components=1 -C "$tree"
  tar -xf files/kubernetes_"$version"*.debian.tar.* -C "$tree"
  grep -v '^#' "$tree/debian/patches/series" | while read -r name _; do
    if [ -n "$name" ]; then patch --quiet -p1 -d "$tree" < "$tree/debian/patches/$name"; fi
  done
  touch "$work/unpacked"
fi

echo "compiling (about two minutes)"
# The API packages that the tree publishes are found through its vendor folder.
cd "$tree"
GOPATH="$work/kubernetes" GOCACHE="$work/gocache" GO111MODULE=off GOFLAGS= CGO_ENABLED=0 \
  GOROOT="$work/go/usr/lib/go-1.19" \
  "$work/go/usr/lib/go-1.19/bin/go" build -o "$binary.new" ./cmd/kube-scheduler
mv "$binary.new" "$binary"
cd /
chmod -R u+w "$work"
rm -rf "$work"
echo "built $binary"
