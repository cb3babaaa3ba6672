#!/usr/bin/env bash
# Creates an authority and the certificates of the server and the clients, for deploy/kubernetes:
#
#   bash deploy/kubernetes/make-certificates.sh CLIENTS FOLDER
#
# FOLDER/authority stays with the operator; FOLDER/server and FOLDER/clients become the two secrets, with one key per
# file. Existing clients keep their certificates, so that more clients can be added.
set -euo pipefail

readonly usage='usage: make-certificates.sh CLIENTS FOLDER'
readonly clients=${1:?$usage} folder=${2:?$usage}
[[ $clients =~ ^[1-9][0-9]{0,4}$ ]] || {
  echo "make-certificates: CLIENTS is '$clients', which is no number of clients" >&2
  exit 64
}
umask 077
mkdir -p "$folder/server" "$folder/clients"

[[ -e $folder/authority/authority.key ]] || fedserver certificate authority --tls "$folder/authority"
# The name of the Service is the host name that clients connect to.
[[ -e $folder/authority/server.key ]] || fedserver certificate server strata-server --tls "$folder/authority"
cp "$folder"/authority/{authority.crt,server.crt,server.key} "$folder/server"
# The list of revoked certificates; without it the server admits no client.
cp "$folder/authority/revoked" "$folder/server"

cp "$folder/authority/authority.crt" "$folder/clients"
last=$((clients - 1))
for ((index = 0; index < clients; index++)); do
  printf -v name 'client-%0*d' ${#last} "$index"
  [[ ! -e $folder/clients/$name.key ]] || continue
  fedserver certificate client "$name" --tls "$folder/authority" --out "$folder/$name"
  mv "$folder/$name/client.crt" "$folder/clients/$name.crt"
  mv "$folder/$name/client.key" "$folder/clients/$name.key"
  rm -r "${folder:?}/$name"
done
