#!/usr/bin/env bash
# Builds the Debian packages strata-server, strata-client and strata-sim into a folder, by default .build/packages.
# Swift's runtime is linked statically; dpkg-shlibdeps finds the other dependencies. The version is that of the
# software; REVISION=2 packages the same software a second time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly scratch=.build/deb
readonly stage=$scratch/stage
readonly bin=$scratch/release
readonly out=${1:-.build/packages}
readonly revision=${REVISION:-1}

fail() {
  echo "deb: $*" >&2
  exit 3
}

check_tools() {
  local tool
  for tool in swift dpkg-deb dpkg-shlibdeps strip gzip; do
    command -v "$tool" >/dev/null || fail "there is no $tool; apt-get install dpkg-dev binutils gzip has all but swift"
  done
  [[ $revision =~ ^[0-9][0-9A-Za-z.+~]*$ ]] || fail "REVISION=$revision: it begins with a digit, and has no spaces"
}

# Uses a separate build folder, because every object and every link differs from the usual build.
build() {
  local flags=(
    -c release --scratch-path "$scratch" --static-swift-stdlib --disable-local-rpath
    -Xcc "-ffile-prefix-map=$PWD=." -Xlinker -z -Xlinker now)
  # Builds the programs without the targets for tests. generate-manual is built here, because argument-parser's plugin
  # would build everything a second time.
  local product
  for product in fedserver fedclient fedsim generate-manual; do
    swift build "${flags[@]}" --product "$product"
  done
}

check_is_static() {
  local needed
  needed=$(readelf --dynamic "$1")
  ! grep -E 'swift|Foundation|dispatch|BlocksRuntime|RPATH|RUNPATH' <<<"$needed" ||
    fail "$1 needs a library of Swift's toolchain"
}

# The packages' maintainer and date: the author and date of the last commit.
maintainer() {
  git log -1 --format='%an <%ae>' 2>/dev/null || echo 'Strata <root@localhost>'
}

the_date() {
  date --utc --date="@$SOURCE_DATE_EPOCH" "$@"
}

short() {
  case $1 in
  strata-server) echo 'coordinator of layer-wise federated training' ;;
  strata-client) echo 'client of layer-wise federated training' ;;
  strata-sim) echo 'layer-wise federated training on one machine' ;;
  esac
}

long() {
  case $1 in
  strata-server) echo 'fedserver, which coordinates clients that train an encoder layer by layer.' ;;
  strata-client) echo "fedclient, which trains on images that stay on this machine." ;;
  strata-sim) echo 'fedsim, which runs, compares and evaluates federations on one machine.' ;;
  esac
}

# The licences of linked software, which must be included.
copyright() {
  local notices license package
  echo 'Strata is the work of its authors.'
  if [[ -f LICENSE ]]; then cat LICENSE; else echo 'Its sources come without a licence.'; fi
  echo
  echo 'Linked into the programs: the runtime of Swift with Foundation and ICU (https://www.unicode.org/license.txt), and'
  echo 'the packages below. The Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0.'
  license=$(dirname "$(readlink -f "$(command -v swift)")")/../share/swift/LICENSE.txt
  for license in "$license" "$scratch"/checkouts/*/{LICENSE,LICENSE.txt,NOTICE.txt}; do
    [[ -f $license ]] || continue
    package=$(basename "$(dirname "$license")")
    printf '\n==== %s\n\n' "$package"
    notices=$(<"$license")
    if [[ $notices == *'Apache License'*'APPENDIX'* ]]; then
      echo 'Apache License 2.0'
      sed -n '/Runtime Library Exception/,$p' "$license"
    else
      echo "$notices"
    fi
  done
}

changelog() {
  printf 'strata (%s) unstable; urgency=medium\n\n' "$full"
  printf '  * Packages of Strata %s.\n\n' "$version"
  printf -- ' -- %s  %s\n' "$(maintainer)" "$(the_date --rfc-email)"
}

put() { # FROM TO [MODE]
  install -D --mode="${3:-644}" "$1" "$2"
}

# FOLDER: copies README.md and docs with the files they link to, so that their links work; --help refers to them, too.
put_documents() {
  local file
  for file in README.md docs/*.{md,png,svg} deploy/{slurm,kubernetes}/README.md; do put "$file" "$1/$file"; done
}

# PACKAGE COMMAND: adds the files of every package.
put_common() {
  local root=$stage/debian/$1 doc=$stage/debian/$1/usr/share/doc/$1 share=$stage/debian/$1/usr/share
  put "$bin/$2" "$root/usr/bin/$2" 755
  strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/$2"
  check_is_static "$root/usr/bin/$2"
  mkdir -p "$doc" "$root/DEBIAN"
  put "$stage/man/$2.1" "$share/man/man1/$2.1"
  gzip -9n "$share/man/man1/$2.1"
  put "$stage/completions/$2.bash" "$share/bash-completion/completions/$2"
  put "$stage/completions/_$2" "$share/zsh/vendor-completions/_$2"
  put "$stage/completions/$2.fish" "$share/fish/vendor_completions.d/$2.fish"
  put_documents "$doc"
  copyright >"$doc/copyright"
  changelog | gzip -9n >"$doc/changelog.Debian.gz"
}

# PACKAGE COMMAND HOW-TO-CONFIGURE SETTINGS: adds the files of a service. Purging deletes SETTINGS.
put_service() {
  local root=$stage/debian/$1 script
  put "deploy/$2.service" "$root/usr/lib/systemd/system/$2.service"
  put "deploy/debian/$2.default" "$root/etc/default/$2"
  echo "/etc/default/$2" >"$root/DEBIAN/conffiles"
  for script in postinst prerm postrm; do
    sed -e "s|@package@|$1|; s|@unit@|$2|g; s|@state@|$1|g; s|@configure@|$3|; s| *@settings@|${4:+ $4}|" \
      "deploy/debian/$script" >"$root/DEBIAN/$script"
    chmod 755 "$root/DEBIAN/$script"
  done
}

# PACKAGE COMMAND
depends() {
  # dpkg-shlibdeps requires the folder of a source package.
  (cd "$stage" && dpkg-shlibdeps -O "debian/$1/usr/bin/$2") | sed -n 's/^shlibs:Depends=//p'
}

# PACKAGE COMMAND
pack() {
  local root=$stage/debian/$1 needs
  needs=$(depends "$1" "$2")
  [[ $needs == *libc6* ]] || fail "dpkg-shlibdeps found no libc6 for $1: $needs"
  (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
  cat >"$root/DEBIAN/control" <<EOF
Package: $1
Source: strata
Version: $full
Architecture: $architecture
Maintainer: $(maintainer)
Installed-Size: $(du --summarize --apparent-size --block-size=1024 --exclude=DEBIAN "$root" | cut -f 1)
Depends: $needs
Section: science
Priority: optional
Description: $(short "$1")
 Strata trains a vision encoder on images that stay where they are, without
 labels, and layer by layer, so that small machines can take part.
 .
 This package has $(long "$1" | fold --spaces --width=60 | sed 's/ *$//; 2,$s/^/ /')
EOF
  chmod -R u=rwX,go=rX "$root"
  dpkg-deb --root-owner-group --build "$root" "$out/$1_${full}_$architecture.deb" >/dev/null
  ls -s --block-size=KiB "$out/$1_${full}_$architecture.deb"
}

check_tools
build
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
version=$("$bin/fedserver" --version)
readonly version full=$version-$revision
architecture=$(dpkg --print-architecture)
readonly architecture

umask 022
rm -rf "$stage"
mkdir -p "$stage/debian" "$out"
printf 'Source: strata\n\nPackage: strata\nArchitecture: any\n' >"$stage/debian/control"

DATE=$(the_date +%F) deploy/make-man.sh "$bin" "$stage"

put_common strata-server fedserver
put_service strata-server fedserver 'write /etc/strata/plan.yaml' /etc/strata
mkdir "$stage/debian/strata-server/etc/strata"
for plan in deploy/plans/*.yaml; do
  put "$plan" "$stage/debian/strata-server/usr/share/doc/strata-server/examples/${plan##*/}"
done

put_common strata-client fedclient
put_service strata-client fedclient 'fill in /etc/default/fedclient' ''

put_common strata-sim fedsim

pack strata-server fedserver
pack strata-client fedclient
pack strata-sim fedsim
