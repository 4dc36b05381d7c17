"""What a step of a bootstrap runs inside its container: a program and its files. Pure.

The programs here are fixed. What people wrote is in files beside them, byte for byte, and no shell
ever expands it. chef-solo does what the original's agent does: Chef is installed from a URL once,
the cookbooks' archive is unpacked, and then comes `chef-solo -c solo.rb -j attributes.json`.
"""

import json
from dataclasses import dataclass
from typing import Final

from pathfinder.model.bootstrap import BootstrapStep
from pathfinder.runtimes.jobs import Job

CHEF_PATH: Final = "/var/lib/pathfinder/chef"
SOLO: Final = (
    f'cookbook_path "{CHEF_PATH}/repo/cookbooks"\nrole_path "{CHEF_PATH}/repo/roles"\n'.encode()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChefSettings:
    """How Chef comes into a container that has none, and what every run of it is told besides.

    installer_url: a script for bash or sh. version: its argument `-v`; "": the script's own choice.
    flags: more arguments of chef-solo.
    """

    installer_url: str = "https://www.chef.io/chef/install.sh"  # the original's default
    version: str = ""
    flags: tuple[str, ...] = ()


def job_of(step: BootstrapStep, key: str, chef: ChefSettings) -> Job:
    """The job that makes one try of the step."""
    match step.type:
        case "chef-solo":
            files = {
                "attributes.json": attributes_bytes(step.attributes),
                "cookbooks_url": step.cookbooks_url.encode(),
                "flags": "".join(f"{flag}\n" for flag in chef.flags).encode(),
                "installer_url": chef.installer_url.encode(),
                "solo.rb": SOLO,
                "version": chef.version.encode(),
            }
            return Job(key=key, run=CHEF_SOLO, files=files, limit_s=step.timeout_s)
        case "shell":
            return Job(key=key, run=step.script.encode(), limit_s=step.timeout_s)
        case "cloud-init":
            return Job(key=key, run=CLOUD_INIT, limit_s=step.timeout_s)


def attributes_bytes(attributes: object) -> bytes:
    """The attributes as the server sent them: compact JSON in UTF-8, its keys in their order."""
    return json.dumps(attributes, ensure_ascii=False, separators=(",", ":")).encode()


CHEF_SOLO: Final = rb"""#!/bin/sh
# Written by Pathfinder. What differs from one bootstrap to another is in the files beside this one.
set -eu
here=${0%/*}
chef=/var/lib/pathfinder/chef

fetch() {
    case $1 in
    file:///*) cp "${1#file://}" "$2" ;;
    http://* | https://*)
        if command -v curl > /dev/null 2>&1; then curl -fsSL --retry 2 --output "$2" --url "$1"
        elif command -v wget > /dev/null 2>&1; then wget -q -O "$2" "$1"
        else
            echo "neither curl nor wget is in this image" >&2
            return 127
        fi ;;
    *)
        echo "$3 must begin with https://, http:// or file:///" >&2
        return 1 ;;
    esac
}

mkdir -p "$chef"
cd "$chef"
if ! command -v chef-solo > /dev/null 2>&1; then
    echo "== installing Chef"
    fetch "$(cat "$here/installer_url")" install.sh "the installer's URL"
    set --
    [ ! -s "$here/version" ] || set -- -v "$(cat "$here/version")"
    if command -v bash > /dev/null 2>&1; then bash ./install.sh "$@"; else sh ./install.sh "$@"; fi
    rm -f install.sh
    if ! command -v chef-solo > /dev/null 2>&1; then
        echo "the installer has ended well, but there is no chef-solo" >&2
        exit 127
    fi
fi
if [ -s "$here/cookbooks_url" ]; then
    echo "== fetching the cookbooks"
    fetch "$(cat "$here/cookbooks_url")" cookbooks.tar.gz "cookbooks_url"
    rm -rf repo.new
    mkdir repo.new
    tar -xz -f cookbooks.tar.gz -C repo.new --strip-components=1
    rm -rf repo cookbooks.tar.gz
    mv repo.new repo
fi
cp "$here/solo.rb" "$here/attributes.json" .
set --
while read -r flag; do set -- "$@" "$flag"; done < "$here/flags"
echo "== chef-solo -c solo.rb -j attributes.json $*"
exec chef-solo -c solo.rb -j attributes.json "$@"
"""

# 2 means that it is done and has warnings, which a deprecated key is enough for.
CLOUD_INIT: Final = rb"""#!/bin/sh
# Written by Pathfinder. The user data has been there since before the first start.
if ! command -v cloud-init > /dev/null 2>&1; then
    echo "this image has no cloud-init: take one that has it, or a step of type shell" >&2
    exit 127
fi
code=0
cloud-init status --wait --long || code=$?
[ ! -r /var/log/cloud-init-output.log ] || tail -c 200000 /var/log/cloud-init-output.log
case $code in
2) echo "cloud-init is done, with warnings" ;;
*) exit "$code" ;;
esac
"""
