#!/bin/sh
# Installs Debian's chromium and a font with Chinese glyphs for the browser tests. Never fails: without a browser those
# tests are skipped with their reason.
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "no chromium, and no right to install it: browser tests will be skipped" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -q && apt-get install -y -q --no-install-recommends chromium fonts-noto-cjk; } >/dev/null 2>&1 ||
  echo "chromium could not be installed: browser tests will be skipped" >&2
exit 0
